// What both pages share: the theme and the token.
import { $, put } from "./dom.js";
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
		put(open, token() === "" ? "Token" : "Token ✓");
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
