// Governance: acts that wait for their time, how to stop one, what was refused or stopped and why, the constants as they are.
// Keys sign where they lie: what is signed may be brought here, a private key may not.
import { $, h, put, num, say, when, span, copying, quote, keep } from "./dom.js";
import { call, get } from "./api.js";
import { complain, lacking } from "./trouble.js";

const KEYS = [["war_chief", "War Chief"], ["peace_chief", "Peace Chief"], ["medicine_woman", "Medicine Woman"]];
const ACTS = {
	constants: { title: "Change the thermal constants", needs: 2 },
	designate: { title: "Make a memory sacred", needs: 3 },
	unsacre: { title: "Let a memory be sacred no longer", needs: 3 },
	delete: { title: "Delete a sacred memory", needs: 3 },
};
const CONSTANTS = [
	["base", "Base", "of a memory used once", degree], ["k", "k", "for each doubling of use", degree], ["half_life_ms", "Half-life", "of a use", days],
	["sacred_floor", "Sacred floor", "a sacred memory is never colder", degree], ["max", "Ceiling", "nothing is hotter", degree],
	["white_hot", "White hot", "from", degree], ["red_hot", "Red hot", "from", degree], ["warm", "Warm", "from", degree], ["cool", "Cool", "from", degree], ["cold", "Cold", "from", degree],
];
const names = Object.fromEntries(KEYS);
const who = (id) => names[id] || id;
const all = (ids) => ids.map(who).join(", ") || "nobody";
const title = (act) => (ACTS[act.act] || { title: act.act }).title;
let open, done, board, how, bring, asked = "", failed = false, soon;
const cards = new Map(); // id -> { key, el }: a card that somebody writes in stays as it is

function degree(v) {
	return typeof v === "number" ? `${num(v)}°` : "–";
}
function days(v) {
	if (typeof v !== "number") return "–";
	const d = v / 86400000;
	return d >= 1 ? `${num(Math.round(d * 100) / 100)} ${d === 1 ? "day" : "days"}` : span(v / 1000);
}

/** What an act is about: the constants it changes, from what to what, or its memory. */
function about(act, now) {
	if (act.act !== "constants") return h("p", { class: "about" }, h("code", {}, act.memory || "–"));
	const before = act.before || now;
	return h("ul", { class: "terms" }, CONSTANTS.filter(([name]) => typeof act.constants?.[name] === "number").map(([name, word, , unit]) =>
		h("li", {}, h("b", {}, word), ` ${typeof before?.[name] === "number" ? `${unit(before[name])} → ` : ""}${unit(act.constants[name])}`)));
}

function seals(act, keyed) {
	if (!keyed && !act.signers.some((id) => names[id])) return h("p", { class: "muted tiny" }, `asked for by ${all(act.signers)}`);
	const needs = (ACTS[act.act] || { needs: 3 }).needs;
	return h("div", { class: "signed" },
		h("ul", { class: "seals", "aria-label": "Signatures" }, KEYS.map(([id, word]) => {
			const has = act.signers.includes(id);
			return h("li", { class: has && "has" }, h("span", { "aria-hidden": "true" }, has ? "✓" : "–"), word, h("span", { class: "sr" }, has ? " has signed" : " has not signed"));
		})),
		h("small", { class: "muted" }, `${act.signers.filter((id) => names[id]).length} of 3; it takes ${needs}`));
}

/** How long until it takes effect; told anew each second by tick(). */
function clock(act) {
	const begun = new Date(act.submitted_at).getTime(), due = new Date(act.due_at).getTime();
	const bar = h("i", {}), left = h("b", { class: "left" });
	return { due, el: h("div", { class: "clock" }, h("div", { class: "bar", "aria-hidden": "true" }, bar), h("p", { class: "muted tiny" }, left, " · ", when(act.due_at))), tick(now) {
		const s = Math.ceil((due - now) / 1000), share = due > begun ? Math.min(1, Math.max(0, (now - begun) / (due - begun))) : 1;
		const text = s <= 0 ? "is due, and takes effect within seconds" : s < 3600 ? `takes effect in ${s >= 60 ? `${Math.floor(s / 60)} min ` : ""}${s % 60} s` : `takes effect in ${span(s)}`;
		if (left.textContent !== text) left.textContent = text;
		bar.style.width = `${(share * 100).toFixed(1)}%`;
	} };
}

function command(lines, label) {
	const text = lines.join("\n");
	return h("div", { class: "command" }, h("pre", { tabindex: "0", role: "group", "aria-label": label }, h("code", {}, text)), copying(() => text));
}

const reasonInput = (id) => h("input", { id, type: "text", maxlength: 1000, required: true, autocomplete: "off" });
const signLine = (archive, reason, out, words) => `tribectl sign --key YOUR_KEY.pem --archive ${quote(archive)} --reason ${quote(reason)} --out ${out} ${words}`;

/** Any one key stops it: the two lines that do so, with the reason as it is being written. */
function objectByKey(act, archive) {
	const why = reasonInput(`why-${act.id}`), lines = h("div", {});
	const show = () => put(lines, command([signLine(archive, why.value.trim() || "WHY NOT", "no.json", `object ${quote(act.id)}`), "tribectl governance submit no.json"], "How to object"));
	why.addEventListener("input", show);
	show();
	return [h("p", { class: "muted tiny" }, "Any one of the three keys stops it for good, until it is due. Sign where your key lies; it has no place in a browser. Then submit no.json there, or bring it here, below."), h("label", { for: why.id }, "Why not"), why, lines];
}

function objectAsAdmin(act) {
	const why = reasonInput(`why-${act.id}`), out = h("div", { "aria-live": "polite" }), button = h("button", { type: "submit" }, "Object");
	const form = h("form", {}, h("p", { class: "muted tiny" }, "An objection stops it for good, and is kept with its reason. It takes an admin's token where tokens are used."),
		h("label", { for: why.id }, "Why not"), h("div", { class: "line" }, why, button), out);
	form.addEventListener("submit", async (e) => {
		e.preventDefault();
		button.disabled = true;
		put(out);
		try {
			await call("POST", `/api/v1/governance/${encodeURIComponent(act.id)}/objections`, { reason: why.value.trim() });
			say(`Stopped: ${title(act)}`);
			await refreshGovernance();
			board.focus();
		} catch (problem) {
			put(out, complain(problem));
		}
		button.disabled = false;
	});
	return form;
}

function pending(act, doc) {
	const time = clock(act);
	const el = h("article", { class: "act", "data-act": act.id, "aria-label": title(act) },
		h("h4", {}, title(act)), about(act, doc.constants), h("p", { class: "reason" }, act.reason), seals(act, doc.keys), time.el,
		h("details", {}, h("summary", {}, "Object …"), doc.keys ? objectByKey(act, doc.archive) : objectAsAdmin(act)));
	time.tick(Date.now());
	return { el, time };
}

function showOpen(doc) {
	const acts = doc.acts.filter((act) => act.state === "pending"), there = new Set(acts.map((act) => act.id));
	for (const id of cards.keys()) if (!there.has(id)) cards.delete(id);
	for (const act of acts) {
		const key = JSON.stringify([act, doc.keys, doc.archive, doc.constants]);
		if (cards.get(act.id)?.key !== key) cards.set(act.id, { key, ...pending(act, doc) });
	}
	const shown = acts.map((act) => cards.get(act.id).el);
	if (shown.length !== open.children.length || shown.some((el, i) => open.children[i] !== el))
		put(open, shown.length > 0 ? shown : h("p", { class: "empty" }, "No act is waiting. One that was asked for stands here until it takes effect, with what it changes, who signed it, and how long there is to object."));
	clearTimeout(soon);
	const next = Math.min(...acts.map((act) => new Date(act.due_at).getTime())) - Date.now();
	if (next < 3600000) soon = setTimeout(refreshGovernance, Math.max(2000, next + 1500)); // it looks different then
}

function ended(act, doc) {
	return h("li", {}, h("div", { class: "act-top" }, h("h4", {}, title(act)), h("b", { class: "outcome", "data-outcome": act.state }, act.state)), about(act, act.state === "done" ? null : doc.constants),
		h("p", { class: "reason" }, act.reason),
		act.objections.map((o) => h("p", { class: "against" }, h("b", {}, `${who(o.by)} objected: `), o.reason)),
		act.objections.length === 0 && act.note && h("p", { class: "against" }, h("b", {}, `${act.state === "refused" ? "Refused" : act.state === "failed" ? "Failed" : "Note"}: `), act.note),
		h("p", { class: "muted tiny" }, `${doc.keys ? "signed" : "asked for"} by ${all(act.signers)} · `, when(act.ended_at || act.submitted_at)));
}

function showEnded(doc) {
	const list = (el, states, none) => {
		const acts = doc.acts.filter((act) => states.includes(act.state));
		put(el, acts.length === 0 ? h("p", { class: "empty" }, none) : h("ol", { class: "plain" }, acts.map((act) => ended(act, doc))));
	};
	list(board, ["refused", "stopped", "failed"], "Nothing was refused or stopped. What is, stays here for good: what was asked for, who objected, and why.");
	list(done, ["done"], "No act has taken effect yet.");
}

function showHow(doc) {
	const wanted = (name) => doc.acts.filter((act) => act.state === "pending" && act.act === "constants" && typeof act.constants?.[name] === "number").map((act) => act.constants[name])[0];
	const delay = doc.delay_s === 0 ? "at once: there is no delay in which to object" : `after ${days(doc.delay_s * 1000)}, unless somebody objects`;
	const example = doc.keys ? [signLine(doc.archive, "WHY", "act.json", "designate MEMORY_ID"), "tribectl sign --key THE_NEXT_KEY.pem act.json", "tribectl governance submit act.json"]
		: ["tribectl governance submit designate MEMORY_ID --confirm MEMORY_ID --reason WHY", `tribectl governance submit constants base=41 --confirm ${quote(doc.archive)} --reason WHY`];
	put(how,
		h("div", { class: "scroll tall" }, h("table", { class: "constants" }, h("thead", { class: "sr" }, h("tr", {}, ["Constant", "Now"].map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, CONSTANTS.map(([name, word, means, unit]) =>
			h("tr", { "data-constant": name }, h("th", { scope: "row" }, h("b", {}, word), " ", h("span", {}, means)), h("td", {}, unit(doc.constants[name]), wanted(name) !== undefined && h("span", { class: "warn" }, ` → ${unit(wanted(name))}?`))))))),
		h("h3", {}, "Who may change them, and what is sacred"),
		doc.keys ? h("p", { class: "muted" }, "Three people hold a key each; the tribe knows the public halves only. ", h("b", {}, "Two of three"), " change the constants, ", h("b", {}, "all three"), " make a memory sacred, take that back, or delete one. It takes effect ", delay, "; for that any one of them is enough.")
			: h("p", { class: "muted", id: "no-keys" }, "No keys are configured. ", h("b", {}, "An admin acts alone"), ", but not by accident and not at once: each act is confirmed, says why, and takes effect ", delay, ". To have three people decide, set ", h("code", {}, "governance.war_chief"), ", ", h("code", {}, "governance.peace_chief"), " and ", h("code", {}, "governance.medicine_woman"), " to their public keys."),
		h("details", {}, h("summary", {}, "How to ask for an act"), command(example, "How to ask for an act")));
	bring.hidden = !doc.keys;
}

/** What an envelope says, before it is sent. */
function inside(envelope) {
	const bytes = Uint8Array.from(atob(envelope.payload.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
	const act = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	if (typeof act.act !== "string") throw new Error("no act");
	const n = envelope.signatures.length;
	return `${act.act} ${act.memory || act.objects_to || JSON.stringify(act.constants || {})}: ${act.reason} (${n} signature${n === 1 ? "" : "s"})`;
}

function bringForm() {
	const text = h("textarea", { id: "envelope", rows: 4, spellcheck: "false", autocomplete: "off", required: true, placeholder: '{"payload":"…","payloadType":"application/vnd.tribe.governance+json","signatures":[…]}' });
	const says = h("p", { class: "muted tiny", "aria-live": "polite" }), out = h("div", { "aria-live": "polite" }), button = h("button", { type: "submit", disabled: true }, "Submit it");
	let envelope = null;
	text.addEventListener("input", () => {
		envelope = null;
		put(out);
		says.className = "muted tiny";
		if (/PRIVATE KEY/.test(text.value)) {
			text.value = "";
			says.className = "warn tiny";
			put(says, "That was a private key. It was sent nowhere, and is gone from this field. Sign with it where it lies: tribectl sign.");
		} else if (text.value.trim() === "") {
			put(says);
		} else {
			try {
				envelope = JSON.parse(text.value);
				put(says, "It says: ", h("b", {}, inside(envelope)));
			} catch {
				envelope = null;
				put(says, "This is no envelope that tribectl sign has made.");
			}
		}
		button.disabled = envelope === null;
	});
	const form = h("form", { class: "stack" }, h("label", { for: "envelope" }, "What tribectl sign has written: an act with enough signatures, or an objection"), text, says, h("div", { class: "buttons" }, button), out);
	form.addEventListener("submit", async (e) => {
		e.preventDefault();
		button.disabled = true;
		try {
			const act = await call("POST", "/api/v1/governance", envelope);
			text.value = "";
			put(says);
			put(out, h("p", { class: "fine" }, `It stands: ${act.state}.`));
			await refreshGovernance();
		} catch (problem) {
			put(out, complain(problem));
			button.disabled = false;
		}
	});
	return h("details", { id: "bring", hidden: true }, h("summary", {}, "Bring what was signed"), form);
}

export function initGovernance() {
	open = h("div", { id: "acts" });
	done = h("div", { id: "acts-done" });
	board = h("div", { id: "acts-board", tabindex: "-1" });
	how = h("div", { id: "how" });
	bring = bringForm();
	for (const el of [open, how, board, done]) put(el, h("p", { class: "empty" }, "Not told yet."));
	put($("acts-open"), h("h3", {}, "Waiting for their time"), open, bring);
	put($("constants"), h("h3", {}, "The constants, as they are"), how);
	put($("ethics"), h("h3", {}, "The ethics board: refused and stopped"), keep(board, "Acts that were refused or stopped"));
	put($("carried"), h("h3", {}, "Carried out"), keep(done, "Acts that took effect"));
	setInterval(() => {
		if (!document.hidden) for (const card of cards.values()) card.time.tick(Date.now());
	}, 1000);
}

export async function refreshGovernance() {
	try {
		const doc = await get("/api/v1/governance?limit=100"), key = JSON.stringify(doc);
		showOpen(doc);
		if (key !== asked || failed) {
			showHow(doc);
			showEnded(doc);
		}
		asked = key;
		failed = false;
	} catch (problem) {
		if (asked !== "" && !failed) return; // what was told before stands
		const all = problem.status === 401 || problem.status === 403;
		for (const el of all ? [open, how, board, done] : [open]) put(el, lacking(problem));
		failed = true;
	}
}
