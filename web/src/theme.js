// Before the first paint: the theme that was chosen, if one was.
const chosen = localStorage.getItem("tribe-theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
