// Temperatures: where the memories lie, and the hottest of them.
import { $, h, put, num, plural, degrees, dot, heatColour, STAGES, FROM, stageWord, when, words } from "./dom.js";
import { why } from "./why.js";

let shown = "";

function bars(histogram, total) {
	const high = Math.log1p(Math.max(1, ...histogram.map((b) => b.count)));
	return h("div", { class: "bars", "aria-hidden": "true" }, histogram.map((b) => h("div", { class: "col", title: `${b.from}° to ${b.from + 5}°: ${plural(b.count, "memory").replace("memorys", "memories")}` },
		h("span", {}, b.count > 0 ? short(b.count) : ""),
		h("i", { class: b.count === 0 ? "none" : "", style: { height: b.count === 0 || total === 0 ? "2px" : `${Math.max(4, (Math.log1p(b.count) / high) * 100)}%`, background: heatColour(b.from + 2.5) } }))));
}
const short = (n) => (n < 1000 ? String(n) : n < 1e6 ? `${(n / 1000).toFixed(n < 1e4 ? 1 : 0)}k` : `${(n / 1e6).toFixed(1)}M`);

function stages(t) {
	return [
		h("div", { class: "strip", "aria-hidden": "true" }, STAGES.slice().reverse().map((name) => t.stages[name] > 0 && h("i", { style: { flexGrow: t.stages[name], background: heatColour(FROM[name] + 4) } }))),
		h("ul", { class: "stages" }, STAGES.map((name) => h("li", {}, dot(FROM[name] + 4), h("span", {}, stageWord(name)), h("small", {}, `from ${FROM[name]}°`), h("b", {}, num(t.stages[name]))))),
	];
}

function table(histogram) {
	return h("details", {}, h("summary", {}, "As a table"), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Memories by temperature" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Temperature"), h("th", { scope: "col" }, "Memories"))), h("tbody", {}, histogram.map((b) => h("tr", {}, h("td", {}, `${b.from}° to ${b.from + 5}°`), h("td", {}, num(b.count))))))));
}

function hot(m) {
	return h("li", { class: "memory" },
		h("p", { class: "quote" }, m.sacred && h("b", { class: "sacred" }, "sacred"), words(m.content)),
		h("p", { class: "muted meta" }, dot(m.temperature), h("b", {}, degrees(m.temperature)), h("span", {}, stageWord(m.stage)), h("span", {}, `used ${m.access_count === 1 ? "once" : `${num(m.access_count)} times`}`), m.source && h("span", {}, m.source), h("span", {}, when(m.last_access)), why(m.id, "", "Why is it so hot")));
}

export function showHeat(t) {
	const key = JSON.stringify([t.total_memories, t.stages, t.histogram, t.hottest.map((m) => [m.id, m.access_count])]);
	if (key === shown) return; // what somebody is reading stays as it is
	shown = key;
	if (t.total_memories === 0) {
		put($("histogram"), h("h3", {}, "Nothing is remembered yet"), h("p", { class: "empty" }, "Every memory begins at 40° and is warm for a week; each use heats it. ", h("code", {}, "tribectl remember TEXT"), " or ", h("code", {}, "POST /api/v1/memories"), " makes the first one."));
		put($("hottest"), h("h3", {}, "Hottest"), h("p", { class: "empty" }, "The memories that are used most stand here, each with the reason for its temperature."));
		return;
	}
	const open = $("histogram").querySelector("details")?.open;
	put($("histogram"), h("h3", {}, `${num(t.total_memories)} ${t.total_memories === 1 ? "memory" : "memories"}, ${degrees(t.average_temperature)} on average`), bars(t.histogram, t.total_memories), h("div", { class: "scale", "aria-hidden": "true" }, [0, 20, 40, 60, 80, 100].map((x) => h("span", {}, `${x}°`))), h("p", { class: "muted tiny" }, "The height goes by the logarithm of the count."), stages(t), table(t.histogram));
	$("histogram").querySelector("details").open = open === true;
	put($("hottest"), h("h3", {}, "Hottest"), h("ol", { class: "memories", tabindex: "0", "aria-label": "The hottest memories" }, t.hottest.map(hot)));
}
