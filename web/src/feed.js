// The events, newest first. Not announced one by one: the cards and the drills say what matters.
import { $, h, put, jrName, when } from "./dom.js";

const KEEP = 200;
const BAD = new Set(["exit", "hang", "stopped", "mute", "late", "failed", "down", "degraded", "backoff"]);
const GOOD = new Set(["ready", "operational", "promote", "adopt", "heal"]);
let list;

export function initFeed() {
	list = h("ol", { class: "feed", tabindex: "0", "aria-label": "Events, newest first" });
	put($("feed"), h("p", { class: "empty", id: "no-events" }, "Nothing has happened yet. Starts, deaths, takeovers and drills are listed here as they happen."), list);
}

export function feedEvent(e) {
	const kind = BAD.has(e.kind) ? "bad" : GOOD.has(e.kind) ? "good" : "";
	$("no-events").hidden = true;
	list.prepend(h("li", { class: kind }, when(e.at), h("b", {}, e.kind), h("span", {}, e.jr ? jrName(e.jr) : "the tribe"), h("span", { class: "muted" }, [e.detail, e.pid && `pid ${e.pid}`, e.epoch && e.kind === "promote" && `epoch ${e.epoch}`].filter(Boolean).join(" · "))));
	while (list.childNodes.length > KEEP) list.lastChild.remove();
}
