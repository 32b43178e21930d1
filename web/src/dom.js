// Elements and words. Text goes in as text, never as HTML.
export const $ = (id) => document.getElementById(id);

function fill(el, attrs, children) {
	for (const [name, value] of Object.entries(attrs || {})) {
		if (value === undefined || value === null || value === false) continue;
		if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
		else if (name === "style") Object.assign(el.style, value); // the style attribute would be refused by our own policy
		else el.setAttribute(name, value === true ? "" : value);
	}
	el.append(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));
	return el;
}

export const h = (tag, attrs, ...children) => fill(document.createElement(tag), attrs, children);
export const s = (tag, attrs, ...children) => fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attrs, children);
export const put = (el, ...children) => el.replaceChildren(...children.flat(3).filter((c) => c !== null && c !== undefined && c !== false));

let saying = 0;
/** For screen readers, politely; what comes within a second of the last one is left out: a storm is no news. asked: it answers somebody. */
export function say(text, asked = false) {
	const now = performance.now();
	if (!asked && saying !== 0 && now - saying < 1000) return;
	saying = now;
	$("say").textContent = text;
}

export const JRS = [
	["memory_jr", "Memory Jr", "keeps the archive"],
	["executive_jr", "Executive Jr", "the face: HTTP and votes"],
	["integration_jr", "Integration Jr", "answers from sources, import"],
	["meta_jr", "Meta Jr", "watches and analyses"],
];
export const jrName = (id) => (JRS.find((j) => j[0] === id) || [id, id])[1];

export const num = (n) => (typeof n === "number" ? n.toLocaleString("en") : "–");
export const fixed = (n, digits) => (typeof n === "number" ? n.toFixed(digits) : "–");
export const degrees = (t) => (typeof t === "number" ? `${t.toFixed(1)}°` : "–");
export const plural = (n, word) => `${num(n)} ${word}${n === 1 ? "" : "s"}`;

export function span(seconds) {
	if (typeof seconds !== "number") return "–";
	if (seconds < 60) return `${Math.floor(seconds)} s`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
	const rest = (n, unit) => (n > 0 ? ` ${n} ${unit}` : "");
	if (seconds < 86400) return `${Math.floor(seconds / 3600)} h${rest(Math.floor((seconds % 3600) / 60), "min")}`;
	return `${Math.floor(seconds / 86400)} d${rest(Math.floor((seconds % 86400) / 3600), "h")}`;
}

export function ms(value) {
	if (typeof value !== "number") return "–";
	if (value < 10) return `${value.toFixed(2)} ms`;
	if (value < 1000) return `${value.toFixed(0)} ms`;
	return `${(value / 1000).toFixed(2)} s`;
}

export const mega = (bytes) => (typeof bytes === "number" ? `${(bytes / 1048576).toFixed(1)} MB` : "–");

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
/** A moment: the time of day when it is today's, else the date as well. */
export function when(text) {
	const t = new Date(text);
	if (Number.isNaN(t.getTime())) return "–";
	const today = t.toDateString() === new Date().toDateString();
	return h("time", { datetime: text, title: t.toISOString() }, today ? clock.format(t) : `${day.format(t)}, ${clock.format(t)}`);
}

export const STAGES = ["white_hot", "red_hot", "warm", "cool", "cold", "ember"];
export const FROM = { white_hot: 90, red_hot: 70, warm: 30, cool: 15, cold: 5, ember: 0 };
export const stageWord = (stage) => String(stage).replace("_", " ");
export function stageOf(t) {
	return STAGES.find((name) => t >= FROM[name]) || "ember";
}

const RAMP = [[0, [125, 111, 134]], [10, [77, 127, 196]], [22, [47, 163, 160]], [40, [224, 160, 47]], [75, [226, 85, 43]], [92, [255, 209, 122]], [100, [255, 236, 196]]];
/** The colour of a temperature. */
export function heatColour(t) {
	let i = 1;
	while (i < RAMP.length - 1 && t > RAMP[i][0]) i++;
	const [a, from] = RAMP[i - 1], [b, to] = RAMP[i];
	const k = Math.min(1, Math.max(0, (t - a) / (b - a)));
	return `rgb(${from.map((v, n) => Math.round(v + (to[n] - v) * k)).join(" ")})`;
}
export const dot = (t) => h("i", { class: "dot", "aria-hidden": "true", style: { background: heatColour(t) } });

/** A memory's text; imported ones begin with the heading they stood under. */
export function words(content) {
	const at = /^([^\n]{1,200}):\n\n([^]+)$/.exec(content);
	return at ? [h("b", { class: "under" }, at[1]), at[2].replace(/\n{2,}/g, "\n")] : content.replace(/\n{2,}/g, "\n");
}

export const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** A word of a shell's command line. */
export const quote = (text) => (/^[A-Za-z0-9_./:=@%+,-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

export function copying(text) {
	const button = h("button", { type: "button", class: "quiet copy" }, "Copy");
	button.addEventListener("click", async () => {
		try {
			await navigator.clipboard.writeText(text());
			button.textContent = "Copied";
		} catch {
			button.textContent = "Select it by hand";
		}
		setTimeout(() => (button.textContent = "Copy"), 2000);
	});
	return button;
}

/** A list that scrolls when it is long; it is a stop for the keyboard only then. */
export function keep(el, label) {
	const box = h("div", { class: "list", role: "region", "aria-label": label }, el);
	const look = () => (box.scrollHeight > box.clientHeight + 1 ? box.setAttribute("tabindex", "0") : box.removeAttribute("tabindex"));
	const watch = new ResizeObserver(look);
	watch.observe(el);
	watch.observe(box);
	return box;
}
