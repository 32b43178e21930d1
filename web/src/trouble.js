// What went wrong, plainly.
import { $, h, put } from "./dom.js";
import { token } from "./api.js";

const HINTS = {
	0: "It may be on its way back; the page tries again by itself.",
	404: "This version of the tribe does not know that call.",
	503: "Some of it is away. It is being started again; try in a second.",
};

function hint(problem) {
	if (problem.status === 401) return token() === "" ? "This tribe asks for a token: use the button Token above." : "The token in use is not taken: it was revoked, has expired, or never was one. Use the button Token above for another.";
	if (problem.status === 429) return problem.retryAfter > 0 ? `Too many calls: the page waits ${problem.retryAfter} s before it asks again.` : "Too many calls: wait a moment.";
	return HINTS[problem.status] || "";
}

/** The answer to something that somebody has just done. loud: read out at once. */
export function complain(problem, loud = true) {
	const more = hint(problem);
	return h("div", { class: "error", role: loud && "alert" }, h("b", {}, problem.status > 0 ? `${problem.status} ${problem.title || "refused"}` : "No answer"), h("p", {}, problem.message), more !== "" && h("p", {}, more), problem.requestId && h("p", { class: "muted" }, `request ${problem.requestId}`));
}

/** In the place of what the page asks for by itself: the banner says it loudly enough. */
export function lacking(problem) {
	if (problem.status === 401) return h("p", { class: "empty" }, "Shown once a token is in use.");
	if (problem.status === 403) return h("p", { class: "empty" }, "The token in use may not see this.");
	return complain(problem, false);
}

/** The banner below the title: one trouble at a time, gone when it is over. */
export function banner(problem) {
	const el = $("trouble");
	const locked = problem !== null && problem.status === 401;
	document.body.toggleAttribute("data-locked", locked);
	if (problem === null) {
		if (!el.hidden) put(el);
		el.hidden = true;
		return;
	}
	const more = hint(problem), said = locked ? "" : `${problem.message[0].toUpperCase()}${problem.message.slice(1).replace(/([^.!?])$/, "$1.")}`, text = `${said} ${more}`;
	if (el.dataset.text === text && !el.hidden) return;
	el.dataset.text = text;
	el.hidden = false;
	put(el, h("b", {}, problem.status > 0 ? `${problem.status}: ` : ""), said, more && ` ${more}`);
}
