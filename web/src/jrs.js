// The four Jrs: a card each, from GET /status every other second and from the stream in between.
import { $, h, put, say, JRS, num, span, ms, mega, plural, reduced } from "./dom.js";
import { Trace, startTraces } from "./trace.js";

const WORDS = { up: "up", starting: "starting", stopping: "stopping", killing: "being killed", backoff: "waiting to start", failed: "failed", down: "down", gone: "just died", unknown: "no news" };
const LATE_MS = 2500; // without a beat in the stream, which brings one a second
const cards = new Map();

function card([id, name, what]) {
	const canvas = h("canvas", { "aria-hidden": "true" });
	const c = { id, name, seen: 0, state: "", away: "", trace: new Trace(canvas) };
	c.word = h("span", { class: "state" }, "…");
	c.heart = h("i", { class: "heart", "aria-hidden": "true" });
	c.list = h("dl", { class: "small" });
	c.note = h("p", { class: "note" });
	c.el = h("article", { class: "panel jr", "data-jr": id, "aria-label": name }, h("div", { class: "jr-top" }, c.heart, h("h3", {}, name), c.word), h("p", { class: "muted" }, what), canvas, c.list, c.note);
	cards.set(id, c);
	return c.el;
}

function show(c, state) {
	if (state === c.state) return;
	if (c.state !== "" && c.state !== "unknown" && state !== "unknown" && (state === "up") !== (c.state === "up")) say(state === "up" ? `${c.name} is back` : `${c.name} is ${WORDS[state] || state}`);
	c.state = state;
	c.el.dataset.state = state;
	c.word.textContent = WORDS[state] || state;
	c.trace.lost = state !== "up";
}

export function initJrs() {
	put($("jr-cards"), JRS.map(card));
	startTraces();
	setInterval(() => {
		for (const c of cards.values()) if (c.state === "up" && c.seen !== 0 && performance.now() - c.seen > LATE_MS) c.trace.lost = true;
	}, 500);
}

export function beat(data) {
	const c = cards.get(data.jr);
	if (c === undefined) return;
	c.seen = performance.now();
	c.trace.beat();
	c.el.dataset.beats = String(Number(c.el.dataset.beats || 0) + 1);
	c.el.dataset.pid = data.pid;
	show(c, "up");
	if (!reduced.matches && !document.hidden) c.heart.animate([{ transform: "scale(1)" }, { transform: "scale(1.55)" }, { transform: "scale(1)" }], { duration: 420, easing: "ease-out" });
}

/** An event of a Jr, now and not from before the page was opened. */
export function jrEvent(event) {
	const c = cards.get(event.jr);
	if (c === undefined) return;
	if (event.kind === "drill" || event.kind === "exit") c.dying = true;
	if (event.kind === "start") c.dying = false; // it was stopped on order
	if (event.kind === "exit") {
		const away = /away for ([0-9.]+ ms)/.exec(event.detail || "");
		c.trace.mark("death");
		if (away) c.away = `was away for ${away[1]}; nobody had noticed`;
	}
	if (event.kind === "ready") {
		const away = /away for ([0-9.]+ ms)/.exec(event.detail || "");
		c.trace.mark("lead");
		c.away = away ? `was away for ${away[1]}` : c.dying ? "led before its death was noticed" : "";
		c.dying = false;
		show(c, "up");
		if (away) say(`${c.name} was away for ${away[1]} and is back`);
	}
}

function row(term, value) {
	return value === null ? null : [h("dt", {}, term), h("dd", {}, value)];
}

export function jrStatus(jrs) {
	for (const [id, jr] of Object.entries(jrs)) {
		const c = cards.get(id);
		if (c === undefined) continue;
		show(c, jr.state);
		const waiting = jr.understudies.filter((u) => u.state === "waiting").length;
		const times = jr.recoveries.reduce((all, r) => ({ sum: all.sum + r.sum_s, count: all.count + r.count }), { sum: 0, count: 0 });
		put(c.list,
			row("up for", span(jr.uptime_s)),
			row("restarts", num(jr.restarts)),
			row("understudies", jr.understudies.length === 0 ? "none" : waiting === jr.understudies.length ? `${waiting} ready` : `${waiting} of ${jr.understudies.length} ready`),
			row("memory", mega(jr.rss_bytes)),
			row("loop lag", ms(typeof jr.loop_lag_us === "number" ? jr.loop_lag_us / 1000 : null)),
			row("answered", num(jr.handled_total)));
		c.note.textContent = jr.state !== "up" ? `${jr.last_exit || "not there"}${jr.retry_in_ms ? `, next try in ${ms(jr.retry_in_ms)}` : ""}`
			: c.away || (times.count > 0 ? `${plural(times.count, "recovery").replace("recoverys", "recoveries")}, ${ms((times.sum / times.count) * 1000)} on average` : "has not died since the tribe began");
	}
}

/** Nobody can be asked how they are. */
export function jrsUnknown() {
	for (const c of cards.values()) if (c.state !== "" && c.state !== "unknown" && performance.now() - c.seen > LATE_MS) show(c, "unknown");
}
