// Drills: start one, see how it goes, what the last ones found, and every recovery as tribed saw it.
import { $, h, put, JRS, jrName, ms, num, say, when } from "./dom.js";
import { call, get } from "./api.js";
import { awayChart } from "./charts.js";
import { complain } from "./trouble.js";

const FAULTS = [
	["kill", "kill: SIGKILL for the lead"], ["hang", "hang: SIGSTOP for the lead"], ["double", "double: lead and understudy at once"], ["during-recovery", "during recovery: and again for who takes over"],
	["exit", "exit: it leaves at once *"], ["spin", "spin: its loop burns a CPU *"], ["slow", "slow: every turn takes longer *"], ["garbage", "garbage: what it answers is corrupt *"],
];
const KEEP = 300;
const away = { at: [], of: [] }; // when a role was back, [which, ms]
const hurt = new Set();
let progress, list, chart, table, button, sure, again, state = "idle";

function options(id, label, rows, wide) {
	return h("div", { class: wide && "wide" }, h("label", { for: id }, label), h("select", { id }, rows.map(([value, text]) => h("option", { value }, text))));
}

export function initDrills() {
	progress = h("div", { id: "drill-progress", "aria-live": "polite" });
	list = h("div", { id: "drill-list" });
	button = h("button", { type: "submit" }, "Run the drill");
	sure = h("input", { type: "checkbox", id: "drill-yes" });
	const form = h("form", { class: "grid", id: "drill-form" },
		options("drill-fault", "What is done", FAULTS, true),
		options("drill-jr", "To whom", [["all", "all four"], ...JRS.map(([id, name]) => [id.replace("_jr", ""), name])]),
		h("div", {}, h("label", { for: "drill-kills" }, "How often"), h("input", { id: "drill-kills", type: "number", min: 1, max: 100, value: 3, required: true })),
		h("div", {}, button));
	const ask = h("p", { class: "sure-line", hidden: true }, sure, h("label", { for: "drill-yes" }, "Yes, harm this tribe on purpose"));
	form.addEventListener("submit", (e) => {
		e.preventDefault();
		run(ask);
	});
	form.append(ask);
	put($("drill"), h("h3", {}, "Run one"), form, h("p", { class: "muted tiny" }, "Needs an admin token where tokens are used. * needs the setting ", h("code", {}, "drills: true"), "."), progress, h("h3", {}, "The last ones"), list);
	const plot = h("div", { class: "plot", "aria-hidden": "true" });
	table = h("tbody", {});
	put($("recoveries"), h("h3", {}, "How long a role was away"), h("ul", { class: "key jrs" }, JRS.map(([id, name]) => h("li", { class: id }, name))), plot,
		h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Recoveries" }, h("table", {}, h("thead", {}, h("tr", {}, ["Back at", "Jr", "Away for"].map((t) => h("th", { scope: "col" }, t)))), table))),
		h("p", { class: "empty", id: "no-recoveries" }, "Nobody has died since the page was opened. Run a drill: each cross on a trace above becomes a point here."));
	chart = awayChart(plot, JRS.map(([, name]) => name));
}

async function run(ask) {
	button.disabled = true;
	state = "asked";
	put(progress, h("p", { class: "muted" }, "Starting …"));
	const body = { jr: $("drill-jr").value, kills: Number($("drill-kills").value), fault: $("drill-fault").value };
	if (sure.checked) body.yes = true;
	try {
		await call("POST", "/api/v1/drills", body);
		ask.hidden = true;
		if (state === "asked") state = "runs"; // else the events were faster
		refreshDrills();
	} catch (problem) {
		state = "idle";
		button.disabled = false;
		if (/"yes"/.test(problem.message)) ask.hidden = false;
		put(progress, complain(problem));
	}
}

const VERDICTS = { true: "passed", false: "failed", unknown: "not certain" };

function drillRow(d) {
	return h("tr", { "data-drill": d.id }, h("td", {}, when(d.finished)), h("td", {}, d.jrs.length === 4 ? "all four" : d.jrs.map(jrName).join(", ")), h("td", {}, d.fault), h("td", {}, `${num(d.recovered)} of ${num(d.injected)}`), h("td", {}, ms(d.p50_ms)), h("td", {}, ms(d.p95_ms)), h("td", {}, ms(d.max_ms)), h("td", {}, h("b", { class: "outcome", "data-outcome": VERDICTS[d.valid] }, VERDICTS[d.valid])));
}

function showLast(drills) {
	if (drills.length === 0) {
		put(list, h("p", { class: "empty" }, "No drill yet. One of these kills a Jr on purpose and measures how soon it answers again; ", h("code", {}, "tribectl drill --jr all --kills 10 --load 20"), " does it under users, with a verdict."));
		return;
	}
	const d = drills[0], high = Math.max(d.max_ms || 0, 0.1);
	const bar = (label, value) => typeof value === "number" && h("li", {}, h("span", {}, label), h("i", { "aria-hidden": "true", style: { width: `${Math.max(2, (value / high) * 100)}%` } }), h("b", {}, ms(value)));
	put(list,
		h("div", { class: "last" }, h("p", {}, h("b", { class: "outcome", "data-outcome": VERDICTS[d.valid] }, VERDICTS[d.valid]), ` ${num(d.recovered)} of ${num(d.injected)} back after ${d.fault}`, d.requests > 0 && `; ${num(d.requests)} requests meanwhile, ${num(d.failed)} failed, ${num(d.lost)} lost, ${num(d.doubled)} done twice`), d.reason && h("p", { class: "muted" }, d.reason), h("ul", { class: "latency", "aria-label": "From the fault to the first good answer" }, bar("median", d.p50_ms), bar("95 %", d.p95_ms), bar("99 %", d.p99_ms), bar("longest", d.max_ms))),
		h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The last drills" }, h("table", {}, h("thead", {}, h("tr", {}, ["When", "Whom", "What", "Back", "Median", "95 %", "Longest", "Verdict"].map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, drills.map(drillRow)))));
}

export async function refreshDrills() {
	try {
		const doc = await get("/api/v1/drills?limit=8");
		showLast(doc.drills);
		button.disabled = state === "asked" || Boolean(doc.running);
		clearTimeout(again);
		if (doc.running) {
			again = setTimeout(refreshDrills, 700); // its process leaves a little after its result has come
			if (state === "idle" && progress.childNodes.length === 0) put(progress, h("p", { class: "runs" }, `A drill is running: ${doc.running.fault}, ${jrName(doc.running.jr)} …`));
		} else if (state === "runs") {
			state = "idle";
		}
	} catch (problem) {
		put(list, complain(problem));
	}
}

function plotAway() {
	chart.set([away.at, ...JRS.map(([id]) => away.of.map(([jr, value]) => (jr === id ? value : null)))]);
	put(table, away.at.map((at, i) => h("tr", {}, h("td", {}, new Date(at * 1000).toLocaleTimeString("en-GB")), h("td", {}, jrName(away.of[i][0])), h("td", {}, away.of[i][1] === null ? "led before its death was noticed" : ms(away.of[i][1])))).reverse().slice(0, 50));
	$("no-recoveries").hidden = away.at.length > 0;
}

/** Any event; recoveries from before the page was opened count, too. */
export function drillEvent(event, now) {
	const was = event.kind === "ready" && /away for ([0-9.]+) ms/.exec(event.detail || "");
	if (was || (event.kind === "ready" && hurt.has(event.jr))) {
		away.at.push(new Date(event.at).getTime() / 1000);
		away.of.push([event.jr, was ? Number(was[1]) : null]); // null: it led before anybody had noticed the death
		if (away.at.length > KEEP) away.at.shift(), away.of.shift();
		plotAway();
	}
	if (event.jr && event.kind === "drill") hurt.add(event.jr);
	if (event.jr && event.kind === "ready") hurt.delete(event.jr);
	if (event.kind === "drill" && !event.jr && now) told(event.detail || "");
}

/** Words of tribed's about a drill as a whole: "kill began: all, 3 times", "kill ended, valid: true", "kill was not finished: exit 3". */
function told(text) {
	if (/ began/.test(text)) {
		state = "runs";
		button.disabled = true;
		put(progress, h("p", { class: "runs" }, `The drill runs: ${text} each …`));
	} else {
		state = "idle";
		put(progress, h("p", { class: / ended/.test(text) ? "muted" : "warn" }, / ended/.test(text) ? "The drill has ended." : `The drill ${text}`));
	}
	say(`Drill: ${text}`);
	refreshDrills();
}
