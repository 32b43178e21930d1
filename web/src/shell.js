// What both pages share: the theme and the token; and where on the page somebody is.
import { $, h, put } from "./dom.js";
import { token, setToken } from "./api.js";

const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => document.documentElement.dataset.theme || (dark.matches ? "dark" : "light");

export function initTheme(onChange) {
	const button = $("theme");
	const show = () => {
		const next = theme() === "dark" ? "light" : "dark";
		put(button, next === "dark" ? "Dark" : "Light");
		button.setAttribute("aria-label", `Switch to ${next} colours`);
		onChange();
	};
	button.addEventListener("click", () => {
		document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
		localStorage.setItem("tribe-theme", document.documentElement.dataset.theme);
		show();
	});
	dark.addEventListener("change", show);
	show();
}

export function initToken(onChange) {
	const dialog = $("token"), open = $("token-open");
	const show = () => {
		put(open, token() === "" ? "Token" : ["Token", h("span", { class: "taken", "aria-hidden": "true" }, " ✓")]);
		open.setAttribute("aria-label", token() === "" ? "Token: enter one" : "Token: one is in use, change it");
	};
	open.addEventListener("click", () => {
		$("token-value").value = token();
		dialog.showModal();
	});
	$("token-form").addEventListener("submit", (e) => {
		const what = e.submitter?.value || "save";
		if (what === "save") setToken($("token-value").value.trim());
		if (what === "drop") setToken("");
		$("token-value").value = "";
		show();
		if (what !== "cancel") onChange();
	});
	show();
}

/** Marks the section that is being read in the list of sections. */
export function initWhere() {
	const links = new Map([...document.querySelectorAll(".top nav a[href^='#']")].map((a) => [a.hash.slice(1), a]));
	let at = null;
	const look = () => {
		const line = innerHeight * 0.35;
		const id = scrollY < 80 ? null : [...links.keys()].filter((name) => $(name).getBoundingClientRect().top <= line).at(-1) || null;
		if (id === at) return;
		links.get(at)?.removeAttribute("aria-current");
		at = id;
		const link = links.get(id);
		link?.setAttribute("aria-current", "true");
		const bar = link?.parentElement;
		if (bar && bar.scrollWidth > bar.clientWidth) bar.scrollTo({ left: link.offsetLeft - bar.clientWidth / 2, behavior: "instant" });
	};
	let asked = false;
	addEventListener("scroll", () => {
		if (asked) return;
		asked = true;
		requestAnimationFrame(() => {
			asked = false;
			look();
		});
	}, { passive: true });
	look();
}
