// Votes and decisions.
import { $, h, put, jrName, keep, when, fixed, say } from "./dom.js";
import { call, get, Problem } from "./api.js";
import { complain, lacking } from "./trouble.js";

const OUTCOMES = { no_quorum: "no quorum", no_evidence: "no evidence", no_majority: "no majority", tie: "a tie: no decision", vetoed: "vetoed", open: "still open" };
let voteList, voteResult, decisionList, votesKey = "", decisionsKey = "";

const word = (outcome) => OUTCOMES[outcome] || String(outcome || "open").replace(/_/g, " ");

function ballot(b) {
	const choice = b.choice;
	return h("li", {}, h("b", {}, jrName(b.voter)), h("span", { class: "choice", "data-choice": choice }, choice), b.veto && h("b", { class: "veto" }, "veto"), typeof b.confidence === "number" && h("small", { class: "muted" }, `${Math.round(b.confidence * 100)} % sure`), b.reason && h("p", { class: "muted" }, b.reason, b.evidence?.length > 0 && h("small", {}, ` (${b.evidence.join(", ")})`)));
}

function tally(v) {
	const entries = Object.entries(v.tally || {}).filter(([, n]) => typeof n === "number");
	return entries.length === 0 ? null : h("ul", { class: "terms" }, entries.map(([option, n]) => h("li", {}, h("b", {}, option), ` ${fixed(n, Number.isInteger(n) ? 0 : 2)}`)));
}

function inside(v) {
	const minority = v.minority || [];
	return [tally(v), h("ul", { class: "ballots" }, v.ballots.map(ballot)),
		minority.length > 0 && h("p", { class: "muted" }, `The minority and its reasons are kept: ${minority.map((b) => jrName(b.voter)).join(", ")}.`),
		v.outcome === "open" && v.closes_at && h("p", { class: "muted tiny" }, "closes at ", when(v.closes_at)),
		v.memory_id && h("p", { class: "muted tiny" }, "remembered as ", h("code", {}, v.memory_id))];
}

/** A line of the list; its ballots are asked for when it is opened. */
function vote(v, open) {
	const box = h("div", { class: "ballot-box" });
	const el = h("details", { class: "vote", open, "data-vote": v.vote_id }, h("summary", {}, h("span", {}, v.proposal, h("small", { class: "muted" }, " ", when(v.closed_at || v.opened_at || v.timestamp), v.by && ` · ${jrName(v.by)}`)), h("b", { class: "outcome", "data-outcome": v.outcome || "open" }, word(v.outcome))), box);
	if (v.ballots) put(box, inside(v));
	el.addEventListener("toggle", async () => {
		if (!el.open || v.ballots) return;
		try {
			put(box, inside(await get(`/api/v1/votes/${encodeURIComponent(v.vote_id)}`)));
		} catch (problem) {
			put(box, complain(problem));
		}
	});
	return el;
}

function form(id, label, button, max, more, run) {
	const input = h("input", { id, type: "text", maxlength: max, required: true, autocomplete: "off" });
	const out = h("div", { "aria-live": "polite" });
	const el = h("form", { class: "stack" }, h("label", { for: id }, label), h("div", { class: "line" }, input, more, h("button", { type: "submit" }, button)), out);
	el.addEventListener("submit", async (e) => {
		e.preventDefault();
		const submit = el.querySelector("button");
		submit.disabled = true;
		put(out);
		try {
			await run(input.value.trim(), out);
			input.value = "";
		} catch (problem) {
			put(out, problem instanceof Problem && problem.status === 404 ? h("p", { class: "empty" }, "This version of the tribe cannot vote yet.") : complain(problem));
		}
		submit.disabled = false;
	});
	return el;
}

async function open(proposal, out) {
	put(out, h("p", { class: "muted" }, "Asking the four Jrs …"));
	const v = await call("POST", "/api/v1/vote", { proposal }, 60);
	put(out);
	put(voteResult, vote(v, true));
	say(`The vote ended: ${word(v.outcome)}`);
	await refreshCouncil();
}

async function decide(text) {
	await call("POST", "/api/v1/decisions", { text, by: "page" });
	await refreshCouncil();
}

export function initCouncil() {
	voteList = h("div", {});
	voteResult = h("div", { id: "vote-result" });
	decisionList = h("div", {});
	put($("votes"), h("h3", {}, "Votes"), form("proposal", "A proposal, to be answered yes or no", "Call a vote", 2000, null, open), voteResult, keep(voteList, "The last votes"));
	put($("decisions"), h("h3", {}, "Decisions"), form("decision", "What was decided", "Write it down", 2000, null, decide), keep(decisionList, "The last decisions"));
}

function showVotes(votes) {
	const key = JSON.stringify(votes.map((v) => [v.vote_id, v.outcome]));
	if (key === votesKey) return;
	votesKey = key;
	const first = voteResult.querySelector("[data-vote]")?.dataset.vote;
	const rest = votes.filter((v) => v.vote_id !== first);
	put(voteList, rest.length > 0 ? rest.map((v) => vote(v, false)) : !first && h("p", { class: "empty" }, "No vote yet. Put a proposal: memory-jr looks for precedents, executive-jr at the load, meta-jr at the trend, integration-jr at where things come from. Who has no evidence abstains; who is dead is absent."));
}

function showDecisions(decisions) {
	const key = JSON.stringify(decisions.map((d) => d.id));
	if (key === decisionsKey) return;
	decisionsKey = key;
	put(decisionList, decisions.length === 0 ? h("p", { class: "empty" }, "The decision log is empty. What people and Jrs decide is written here, with who and when, and can be asked for like any memory.")
		: h("ol", { class: "plain" }, decisions.map((d) => h("li", {}, h("p", {}, d.text), h("p", { class: "muted tiny" }, jrName(d.by), " · ", when(d.at))))));
}

export async function refreshCouncil() {
	try {
		showDecisions((await get("/api/v1/decisions?limit=20")).decisions);
	} catch (problem) {
		if (decisionsKey === "") put(decisionList, lacking(problem));
	}
	try {
		showVotes((await get("/api/v1/votes?limit=20")).votes);
	} catch (problem) {
		if (votesKey === "") put(voteList, problem.status === 404 ? h("p", { class: "empty" }, "Votes come with a later version of the tribe.") : lacking(problem));
	}
}
