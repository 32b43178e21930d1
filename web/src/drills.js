// Drills: start one, see how it goes, what the last ones found, and every recovery as tribed saw it.
import { $, h, put, JRS, jrName, ms, num, plural, say, when } from "./dom.js";
import { call, get } from "./api.js";
import { awayChart, drillChart } from "./charts.js";
import { complain, lacking } from "./trouble.js";

const FAULTS = [
	["kill", "kill: SIGKILL for the lead"], ["hang", "hang: SIGSTOP for the lead"], ["double", "double: lead and understudy at once"], ["during-recovery", "during recovery: and again for who takes over"],
	["exit", "exit: it leaves at once *"], ["spin", "spin: its loop burns a CPU *"], ["slow", "slow: every turn takes longer *"], ["garbage", "garbage: what it answers is corrupt *"],
];
const KEEP = 300, USERS = 100;
let away = []; // { at, jr, ms (null: not known), unseen (it led before its death was noticed) }, in the order of time
const hurt = new Set(), ready = new Map(); // Jrs that a drill has hit; the last that led, of each
let progress, list, last, chart, plotted, plot, table, button, sure, again, state = "idle", run = null, blows = 0, lastKey = "";

function options(id, label, rows, wide) {
	return h("div", { class: wide && "wide" }, h("label", { for: id }, label), h("select", { id }, rows.map(([value, text]) => h("option", { value }, text))));
}
const number = (id, label, min, max, value, hint) => h("div", {}, h("label", { for: id }, label), h("input", { id, type: "number", min, max, value, required: true, title: hint }));
const key = (...more) => h("ul", { class: "key jrs" }, JRS.map(([id, name]) => h("li", { class: id }, name)), more);
const asTable = (label, heads, body) => h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((t) => h("th", { scope: "col" }, t)))), body)));

function form() {
	button = h("button", { type: "submit" }, "Run the drill");
	sure = h("input", { type: "checkbox", id: "drill-yes" });
	const ask = h("p", { class: "sure-line", hidden: true }, sure, h("label", { for: "drill-yes" }, "Yes, harm this tribe on purpose"));
	const el = h("form", { class: "grid", id: "drill-form" },
		options("drill-fault", "What is done", FAULTS, true),
		options("drill-jr", "To whom", [["all", "all four"], ...JRS.map(([id, name]) => [id.replace("_jr", ""), name])]),
		number("drill-kills", "How often", 1, 100, 3, "each of them"),
		number("drill-load", "Users", 0, USERS, 10, "who remember, read and ask meanwhile; what they saw is judged"),
		h("div", { class: "go" }, button), ask);
	el.addEventListener("submit", (e) => {
		e.preventDefault();
		start(ask);
	});
	return el;
}

export function initDrills() {
	progress = h("div", { id: "drill-progress" });
	list = h("div", { id: "drill-list" });
	last = h("div", { id: "drill-last" });
	put($("drill"), h("h3", {}, "Run one"), form(), h("p", { class: "muted tiny" }, "So many users remember, read and ask meanwhile; what they saw is judged, and what they wrote removed. Needs an admin's token where tokens are used. * needs the setting ", h("code", {}, "drills: true"), "."), progress, h("h3", {}, "The last ones"), list);
	put($("drill-report"), h("h3", {}, "The last drill"), last);
	for (const el of [list, last]) put(el, h("p", { class: "empty" }, "Not told yet."));
	plot = h("div", { class: "plot low", "aria-hidden": "true", hidden: true });
	table = h("tbody", {});
	put($("recoveries"), h("h3", {}, "How long a role was away, as tribed saw it"), key(h("li", { class: "unseen" }, "led before its death was noticed")), plot, asTable("Recoveries", ["Back at", "Jr", "Away for", "Noticed while away"], table),
		h("p", { class: "empty", id: "no-recoveries" }, "Nobody has died since the tribe's events begin. Run a drill: each cross on a trace above becomes a point here."));
	chart = awayChart(plot);
}

async function start(ask) {
	button.disabled = true;
	state = "asked";
	put(progress, h("p", { class: "muted" }, "Starting …"));
	const body = { jr: $("drill-jr").value, kills: Number($("drill-kills").value), fault: $("drill-fault").value, load: Number($("drill-load").value) };
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
const whom = (jrs) => (jrs.length === 4 ? "all four" : jrs.map(jrName).join(", "));
const verdict = (d) => h("b", { class: "outcome", "data-outcome": VERDICTS[d.valid] }, VERDICTS[d.valid]);

function drillRow(d) {
	return h("tr", { "data-drill": d.id }, h("td", {}, when(d.finished)), h("td", {}, whom(d.jrs)), h("td", {}, d.fault), h("td", {}, typeof d.load === "number" ? num(d.load) : d.requests > 0 ? "some" : "0"), h("td", {}, `${num(d.recovered)} of ${num(d.injected)}`), h("td", {}, ms(d.p50_ms)), h("td", {}, ms(d.max_ms)), h("td", {}, verdict(d)));
}

/** When tribed told that it had seen a blow: often the role led again by then. */
function noticed(step) {
	if (typeof step.noticed_ms !== "number") return "by nobody";
	const late = typeof step.ms === "number" && step.noticed_ms > step.ms;
	return `after ${ms(step.noticed_ms)} (${step.noticed_by})${late ? ", back by then" : ""}`;
}

function plotLast(d, steps) {
	const slices = d.slices || [], users = slices.length > 0;
	const plot = h("div", { class: "plot", "aria-hidden": "true" });
	const rows = steps.map((step) => h("tr", {}, h("td", {}, `${(step.at_ms / 1000).toFixed(2)} s`), h("td", {}, jrName(step.jr)), h("td", {}, typeof step.ms === "number" ? ms(step.ms) : "not back"), h("td", {}, noticed(step))));
	put(plotted, key(h("li", { class: "unseen" }, "back before tribed noticed")), users && h("ul", { class: "key" }, h("li", { class: "p50" }, "users: median"), h("li", { class: "p99" }, "99 %"), h("li", { class: "longest" }, "longest")),
		plot, asTable("Blows of the last drill", ["At", "Jr", "Good answer after", "Noticed"], h("tbody", {}, rows)),
		d.injected > steps.length && h("p", { class: "muted tiny" }, `${num(steps.length)} of ${num(d.injected)} blows are drawn; the figures are of all.`));
	drillChart(plot, JRS.map(([id]) => id)).set(slices, steps, (new Date(d.finished) - new Date(d.started)) / 1000);
}

function showLast(d) {
	if (d === undefined) {
		put(last, h("p", { class: "empty" }, "No drill yet. One of these kills a Jr on purpose and measures how soon it answers again, while users go on; the plot of what they saw stands here. ", h("code", {}, "tribectl drill --jr all --kills 10 --load 20 --report FILE"), " writes it all down."));
		return;
	}
	const high = Math.max(d.max_ms || 0, 0.1), steps = d.steps || [];
	const bar = (label, value) => typeof value === "number" && h("li", {}, h("span", {}, label), h("i", { "aria-hidden": "true", style: { width: `${Math.max(2, (value / high) * 100)}%` } }), h("b", {}, ms(value)));
	plotted = h("div", { class: "plotted" });
	put(last,
		h("p", { class: "sum" }, verdict(d), ` ${num(d.recovered)} of ${num(d.injected)} back after ${d.fault}, ${whom(d.jrs)}`, d.load > 0 && `, under ${plural(d.load, "user")}`, ". ", d.requests > 0 && h("span", { class: "muted" }, `${num(d.requests)} requests: ${num(d.failed)} failed, ${num(d.lost)} lost, ${num(d.doubled)} done twice.`)),
		d.reason && h("p", { class: "muted" }, d.reason),
		h("ul", { class: "latency", "aria-label": "From the fault to the first good answer" }, bar("median", d.p50_ms), bar("95 %", d.p95_ms), bar("99 %", d.p99_ms), bar("longest", d.max_ms)),
		plotted);
	if (steps.length > 0) plotLast(d, steps);
}

function showList(drills) {
	const now = JSON.stringify(drills);
	if (now === lastKey) return;
	lastKey = now;
	showLast(drills[0]);
	put(list, drills.length === 0 ? h("p", { class: "empty" }, "None has ended yet.")
		: h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The last drills" }, h("table", {}, h("thead", {}, h("tr", {}, ["When", "Whom", "What", "Users", "Back", "Median", "Longest", "Verdict"].map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, drills.map(drillRow)))));
}

function showRun() {
	if (run === null) return;
	const planned = run.kills * (run.jr === "all" ? JRS.length : 1), n = Math.min(blows, planned);
	put(progress, h("p", { class: "runs" }, `${run.fault}, ${run.jr === "all" ? "all four" : jrName(run.jr)}${run.load > 0 ? `, under ${plural(run.load, "user")}` : ""}: ${n} of ${planned} …`), h("progress", { max: planned, value: n, "aria-label": "Blows dealt" }));
}

export async function refreshDrills() {
	try {
		const doc = await get("/api/v1/drills?limit=8");
		showList(doc.drills);
		button.disabled = state === "asked" || Boolean(doc.running);
		clearTimeout(again);
		run = doc.running || null;
		if (run !== null) {
			again = setTimeout(refreshDrills, 700); // its process leaves a little after its result has come
			if (state !== "told") showRun();
		} else if (state === "runs" || state === "told") {
			state = "idle";
		}
	} catch (problem) {
		if (lastKey === "") put(list, lacking(problem));
		if (lastKey === "" && (problem.status === 401 || problem.status === 403)) put(last, lacking(problem));
	}
}

function plotAway() {
	if (globalThis.uPlot !== undefined) plot.hidden = false;
	chart.set(away.map((p) => ({ ...p, jr: JRS.findIndex(([id]) => id === p.jr) })));
	put(table, away.map((p) => h("tr", {}, h("td", {}, new Date(p.at * 1000).toLocaleTimeString("en-GB")), h("td", {}, jrName(p.jr)), h("td", {}, p.ms === null ? "not known" : ms(p.ms)), h("td", {}, p.unseen ? "it led before its death was noticed" : "yes"))).reverse().slice(0, 50));
	$("no-recoveries").hidden = away.length > 0;
}

function point(at, jr, value, unseen) {
	away = [...away.filter((p) => p.at !== at || p.jr !== jr), { at, jr, ms: value, unseen }].sort((a, b) => a.at - b.at).slice(-KEEP);
	plotAway();
}

const awayMs = (event) => {
	const was = /away for ([0-9.]+) ms/.exec(event.detail || "");
	return was === null ? null : Number(was[1]);
};

/** A role leads: tribed says how long it was away where it had noticed that. Where it had not, there was a death if a drill dealt one, or if
 * the exit of an older process follows; a first start is none. */
function leads(event) {
	const at = new Date(event.at).getTime() / 1000, value = awayMs(event), died = value !== null || hurt.has(event.jr);
	hurt.delete(event.jr);
	ready.set(event.jr, { at, generation: event.generation, told: value !== null });
	if (died) point(at, event.jr, value, value === null);
}

/** The death of one whose role is led by another already: only now tribed knows when it began to be away, if it does at all. */
function left(event) {
	const lead = ready.get(event.jr);
	if (lead === undefined || lead.told || !(event.generation < lead.generation)) return;
	lead.told = true;
	point(lead.at, event.jr, awayMs(event), true);
}

/** Any event; recoveries from before the page was opened count, too. */
export function drillEvent(event, now) {
	if (event.jr && event.kind === "ready") leads(event);
	if (event.jr && event.kind === "exit") left(event);
	if (event.jr && event.kind === "drill") {
		hurt.add(event.jr);
		if (now) blows++, showRun();
	}
	if (event.kind === "drill" && !event.jr && now) told(event.detail || "");
}

/** Words of tribed's about a drill as a whole: "kill began: all, 3 times", "kill ended, valid: true", "kill was not finished: exit 3". */
function told(text) {
	if (/ began/.test(text)) {
		state = "runs";
		blows = 0;
		button.disabled = true;
		put(progress, h("p", { class: "runs" }, `The drill runs: ${text} each …`));
	} else {
		state = "told";
		run = null;
		put(progress, h("p", { class: / ended/.test(text) ? "muted" : "warn" }, / ended/.test(text) ? "The drill has ended." : `The drill ${text}`));
	}
	say(`Drill: ${text}`);
	refreshDrills();
}
