// The ask box: an answer, how sure it is, and what it rests on.
import { $, h, put, say, plural, degrees, dot, fixed, stageOf, stageWord, when, words } from "./dom.js";
import { call } from "./api.js";
import { why } from "./why.js";
import { complain } from "./trouble.js";

let asked = 0;

/** "[2]" in an answer becomes a link to the second source. */
function cited(answer, n) {
	return answer.split(/(\[\d+\])/).map((piece) => {
		const at = /^\[(\d+)\]$/.exec(piece);
		return at && Number(at[1]) <= n ? h("a", { class: "cite", href: `#source-${at[1]}` }, piece) : piece;
	});
}

function source(src, i, question) {
	const place = [src.speaker, src.source].filter(Boolean).join(" · ");
	return h("li", { id: `source-${i + 1}`, class: "memory numbered", tabindex: "-1" },
		h("b", { class: "no" }, String(i + 1)),
		h("div", {}, h("p", { class: "quote" }, words(src.content)), h("p", { class: "muted meta" }, dot(src.temperature), `${degrees(src.temperature)} ${stageWord(stageOf(src.temperature))}`, h("span", {}, `score ${fixed(src.score, 2)}`), place !== "" && h("span", {}, place), src.at && h("span", {}, when(src.at)), why(src.id, question, `Why source ${i + 1}`))));
}

function sure(a) {
	const percent = Math.round(a.confidence * 100);
	return h("div", { class: "sure" }, h("div", { class: "bar", "aria-hidden": "true" }, h("i", { style: { width: `${percent}%` } })), h("p", {}, h("b", {}, `${percent} % sure`), a.confidence_basis ? `: ${a.confidence_basis}` : ""));
}

function show(a, question) {
	if (a.sources.length === 0) {
		put($("answer"), h("p", { class: "said" }, a.answer), h("p", { class: "empty" }, "Nothing that is remembered fits. Tell the tribe something first, for example: ", h("code", {}, 'tribectl remember "The release is on Friday"'), " or import a folder of notes: ", h("code", {}, "tribectl import DIR"), "."));
		return;
	}
	put($("answer"),
		h("p", { class: "said" }, cited(a.answer, a.sources.length)),
		sure(a),
		a.degraded.length > 0 && h("p", { class: "warn" }, `Answered without all of the tribe: ${a.degraded.join(", ")}`),
		h("h3", {}, a.sources.length === 1 ? "Its source" : `Its ${a.sources.length} sources`),
		h("ol", { class: "memories" }, a.sources.map((src, i) => source(src, i, question))));
}

export function initAsk() {
	put($("answer"), h("p", { class: "empty" }, "Ask in plain words. The answer names the memories it was taken from; each of them says why it was chosen."));
	$("ask-form").addEventListener("submit", async (e) => {
		e.preventDefault();
		const question = $("question").value.trim(), mine = ++asked;
		if (question === "") return;
		$("answer").setAttribute("aria-busy", "true");
		try {
			const a = await call("POST", "/api/v1/ask", { question, limit: 6, detail: "summary" });
			if (mine !== asked) return;
			show(a, question);
			say(a.sources.length === 0 ? a.answer : `${a.answer} From ${plural(a.sources.length, "source")}.`, true);
		} catch (problem) {
			if (mine === asked) put($("answer"), complain(problem));
		}
		if (mine === asked) $("answer").removeAttribute("aria-busy");
	});
}
