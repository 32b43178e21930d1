// "Why?": why a memory is as hot as it is, and how well it fits a question. Looking does not heat it.
import { h, put, fixed, degrees, plural } from "./dom.js";
import { get } from "./api.js";
import { complain } from "./trouble.js";

function heat(m) {
	const x = m.explanation, uses = x.decayed_accesses;
	const usual = Math.abs(40 + 10 * Math.log2(uses) - x.raw_temperature) < 0.06; // base and k can be changed by those who govern
	const formula = !usual ? `base + k × log2(${fixed(uses, 2)}) = ${degrees(x.raw_temperature)}` : `40 + 10 × log2(${uses < 10 ? fixed(uses, 3) : fixed(uses, 1)}) = ${degrees(x.raw_temperature)}`;
	return [
		h("p", {}, `Used ${m.access_count === 1 ? "once" : `${m.access_count} times`}, last ${x.idle_days < 0.04 ? "within the hour" : `${fixed(x.idle_days, 1)} days ago`}. A use halves every ${x.half_life_days} days, so that counts as ${fixed(uses, 2)} now: `, h("code", {}, formula), "."),
		x.floored && h("p", {}, "It is sacred: it does not cool below its floor."),
		x.superseded && h("p", {}, "A newer memory has taken its place; it ranks below that."),
	];
}

function match(m, rank) {
	const terms = m.explanation.terms.filter((t) => t.count > 0);
	if (terms.length === 0) return null;
	return [h("p", {}, `Words of the question that stand in it (rare ones weigh more${typeof rank === "number" ? `; place ${rank} of all that match` : ""}):`),
		h("ul", { class: "terms" }, terms.map((t) => h("li", {}, h("b", {}, t.term), ` ${plural(t.count, "time")}`)))];
}

/** A button that opens its explanation below the line it stands in. */
export function why(id, question, label) {
	const button = h("button", { type: "button", class: "link", "aria-expanded": "false" }, h("span", { "aria-hidden": "true" }, "why?"), h("span", { class: "sr" }, label));
	const box = h("div", { class: "why", hidden: true });
	button.addEventListener("click", async () => {
		const open = button.getAttribute("aria-expanded") !== "true";
		button.setAttribute("aria-expanded", String(open));
		box.hidden = !open;
		if (!open || box.childNodes.length > 0) return;
		button.closest("p, td").after(box);
		try {
			const q = question ? `?q=${encodeURIComponent(question)}` : "";
			const { memory, rank } = await get(`/api/v1/memories/${encodeURIComponent(id)}/explanation${q}`);
			put(box, heat(memory), match(memory, rank));
		} catch (problem) {
			put(box, complain(problem));
		}
	});
	return button;
}
