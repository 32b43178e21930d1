// What went wrong, plainly.
import { $, h, put } from "./dom.js";

const HINTS = {
	0: "It may be on its way back; the page tries again by itself.",
	401: "This tribe asks for a token: use the button Token above.",
	403: "",
	404: "This version of the tribe does not know that call.",
	429: "Too many calls: wait a moment.",
	503: "Some of it is away. It is being started again; try in a second.",
};

export function complain(problem) {
	const hint = HINTS[problem.status] || "";
	return h("div", { class: "error", role: "alert" }, h("b", {}, problem.status > 0 ? `${problem.status} ${problem.title || "refused"}` : "No answer"), h("p", {}, problem.message), hint !== "" && h("p", {}, hint), problem.requestId && h("p", { class: "muted" }, `request ${problem.requestId}`));
}

/** The banner below the title: one trouble at a time, gone when it is over. */
export function banner(problem) {
	const el = $("trouble");
	if (problem === null) {
		if (!el.hidden) put(el);
		el.hidden = true;
		return;
	}
	if (el.dataset.text === problem.message && !el.hidden) return;
	el.dataset.text = problem.message;
	el.hidden = false;
	put(el, h("b", {}, problem.status > 0 ? `${problem.status}: ` : ""), problem.message, HINTS[problem.status] ? ` ${HINTS[problem.status]}` : "");
}
