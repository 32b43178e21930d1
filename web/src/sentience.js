// The Sentience Index: how much each part brings, and how it went since the page was opened.
import { $, h, s, put, fixed, plural, say } from "./dom.js";
import { indexChart } from "./charts.js";

const KEEP = 1800; // an hour, at one every two seconds
const RECALLS = 20; // before there is an index
const PARTS = [
	["uptime", "Uptime", 30, "uptime", "the four roles that serve, and how long they did"],
	["coherence", "Coherence", 50, "coherence", "the same memories recalled together again, and beats in time"],
	["balance", "Thermal balance", 20, "thermal_balance", "how evenly memories lie over the stages of heat"],
];
const history = [[], [], [], [], []];
let chart, recalls = null, arcs, big, under, rows, table, was = null;

const TURN = 270, RADIUS = 84, GAP = 1.4;
function point(angle) {
	const a = ((angle - 225) * Math.PI) / 180;
	return [100 + RADIUS * Math.cos(a), 100 + RADIUS * Math.sin(a)];
}
function arc(from, to) {
	const [x1, y1] = point(from), [x2, y2] = point(Math.max(to, from + 0.01));
	return `M${x1.toFixed(2)} ${y1.toFixed(2)}A${RADIUS} ${RADIUS} 0 ${to - from > 180 ? 1 : 0} 1 ${x2.toFixed(2)} ${y2.toFixed(2)}`;
}

export function initSentience() {
	arcs = PARTS.map(([part]) => s("path", { class: `arc ${part}` }));
	big = h("strong", {}, "–");
	under = h("span", {}, "warming up");
	rows = PARTS.map(([part, name, weight, , why]) => {
		const bar = h("i", { style: { width: "0" } }), value = h("b", {}, "–");
		return { bar, value, el: h("li", { class: part }, h("div", {}, h("span", {}, name), h("small", {}, ` × ${weight}`), value), h("div", { class: "bar", "aria-hidden": "true" }, bar), h("p", { class: "muted" }, why)) };
	});
	put($("gauge"),
		h("div", { class: "dial" }, s("svg", { viewBox: "0 0 200 180", "aria-hidden": "true" }, s("path", { class: "arc track", d: arc(0, TURN) }), arcs), h("div", { class: "reading" }, big, under)),
		h("ul", { class: "parts" }, rows.map((r) => r.el)),
		h("p", { class: "note", id: "warming" }));
	const plot = h("div", { class: "plot", "aria-hidden": "true" });
	table = h("tbody", {});
	put($("history"),
		h("h3", {}, "Since you opened this page"),
		h("ul", { class: "key" }, h("li", { class: "index" }, "index"), PARTS.map(([part, name]) => h("li", { class: part }, name.toLowerCase()))),
		plot,
		h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The index over time" }, h("table", {}, h("thead", {}, h("tr", {}, ["Time", "Index", "Uptime", "Coherence", "Balance"].map((t) => h("th", { scope: "col" }, t)))), table))));
	chart = indexChart(plot);
}

export function recallsSeen(n) {
	if (typeof n === "number") recalls = n;
}

function missing(sentience) {
	const lacks = [];
	if (recalls !== null && recalls < RECALLS) lacks.push(`${recalls} of ${RECALLS} recalls made: ask ${plural(RECALLS - recalls, "more question")}`);
	if (typeof sentience.phase_coherence !== "number") lacks.push("no question was asked twice yet: coherence is known once the same memories were recalled together again");
	if (typeof sentience.thermal_balance !== "number") lacks.push("temperatures are not known yet");
	return lacks.length === 0 ? "Warming up." : `Warming up: ${lacks.join("; ")}.`;
}

function remember(values) {
	history[0].push(Date.now() / 1000);
	values.forEach((v, i) => history[i + 1].push(typeof v === "number" ? v : null));
	if (history[0].length > KEEP) history.forEach((list) => list.shift());
	chart.set(history);
}

function tabulate() {
	const step = Math.max(1, Math.ceil(history[0].length / 12)), lines = [];
	for (let i = history[0].length - 1; i >= 0; i -= step) lines.push(h("tr", {}, h("td", {}, new Date(history[0][i] * 1000).toLocaleTimeString("en-GB")), [1, 2, 3, 4].map((k) => h("td", {}, fixed(history[k][i], 1)))));
	put(table, lines);
}

export function showSentience(sentience) {
	const index = sentience.index, known = typeof index === "number";
	let angle = 0;
	PARTS.forEach(([, , weight, field], i) => {
		const value = sentience[field], turn = (typeof value === "number" ? value : 0) * weight * (TURN / 100);
		arcs[i].setAttribute("d", arc(angle + (angle > 0 ? GAP : 0), angle + turn));
		arcs[i].style.visibility = turn > 0 ? "visible" : "hidden";
		angle += turn;
		rows[i].bar.style.width = `${(typeof value === "number" ? value : 0) * 100}%`;
		rows[i].value.textContent = typeof value === "number" ? value.toFixed(3) : "unknown";
	});
	big.textContent = known ? fixed(index, 1) : "–";
	under.textContent = !known ? "warming up" : index < 40 ? "something is missing" : "of 100";
	$("warming").textContent = known ? `100 × (0.3 × uptime + 0.5 × coherence + 0.2 × balance)` : missing(sentience);
	$("gauge").dataset.index = known ? index : "";
	if (known && was !== null && (index < 40) !== (was < 40)) say(index < 40 ? `The Sentience Index fell to ${Math.round(index)}` : `The Sentience Index is ${Math.round(index)} again`);
	was = known ? index : null;
	remember([index, ...PARTS.map(([, , , field]) => (typeof sentience[field] === "number" ? sentience[field] * 100 : null))]);
	tabulate();
}
