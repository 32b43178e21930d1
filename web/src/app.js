// The page: who asks what how often, and where each answer goes.
import { $, h, put, num, degrees, span, plural } from "./dom.js";
import { follow, get, held, hurry, Problem } from "./api.js";
import { initTheme, initToken, initWhere } from "./shell.js";
import { recolour } from "./charts.js";
import { traceColours } from "./trace.js";
import { initJrs, beat, jrEvent, jrStatus, jrsUnknown } from "./jrs.js";
import { initSentience, showSentience, recallsSeen } from "./sentience.js";
import { initAsk } from "./ask.js";
import { showHeat } from "./heat.js";
import { initCouncil, refreshCouncil } from "./council.js";
import { initGovernance, refreshGovernance } from "./governance.js";
import { initDrills, refreshDrills, drillEvent } from "./drills.js";
import { initFeed, feedEvent } from "./feed.js";
import { banner } from "./trouble.js";

const WORDS = { operational: "operational", degraded: "degraded: something is missing, questions are answered", down: "down: no questions are answered" };
const opened = Date.now();
const clock = (t) => new Date(t).toLocaleTimeString("en-GB");
let last = {}, told = 0; // when the tribe last said how it is

function lead(s) {
	const up = Object.values(s.jrs_running).filter(Boolean).length;
	const restarts = Object.values(s.jrs).reduce((n, jr) => n + jr.restarts, 0);
	put($("lead"), h("span", { class: "pill", "data-status": s.status }, WORDS[s.status] || s.status), ` ${up} of 4 Jrs serve${s.archive_healthy === false ? `, the archive is not well${s.archive_reason ? ` (${s.archive_reason})` : ""}` : s.archive_healthy ? ", the archive is healthy" : ""}. ${restarts === 0 ? "Nobody had to be started again." : `${plural(restarts, "death")} survived.`}`);
	document.title = s.status === "operational" ? "tribe" : `tribe: ${s.status}`;
}

function facts() {
	const t = last.thermal, s = last.status;
	const rows = [["Memories", t ? num(t.total_memories) : "–"], ["Average", t ? degrees(t.average_temperature) : "–"], ["White hot", t ? num(t.white_hot_count) : "–"], ["Sacred", t ? num(t.sacred_count) : "–"], ["Up for", s ? span(s.uptime_s) : "–"]];
	put($("facts"), rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
}

async function ask(path, use) {
	try {
		use(await get(path));
		return true;
	} catch (problem) {
		if (!(problem instanceof Problem)) throw problem;
		banner(problem);
		if (problem.status === 401) unknown(problem);
		return problem;
	}
}

/** Nobody says how the tribe is: what stands here is old, and must not look otherwise. */
function unknown(problem) {
	document.body.toggleAttribute("data-stale", told !== 0);
	const since = told === 0 ? "" : ` What stands here is from ${clock(told)}.`;
	put($("lead"), h("span", { class: "pill" }, problem.status === 401 ? "locked" : problem.status === 0 ? "no answer" : "unknown"), problem.status === 401 ? ` How the tribe is, is told to those who have a token.${since}` : ` The tribe does not say how it is.${since}`);
	document.title = problem.status === 401 ? "tribe: token needed" : "tribe: no answer";
	jrsUnknown();
}

async function status() {
	const answer = await ask("/api/v1/status", (s) => {
		last.status = s;
		told = Date.now();
		document.body.removeAttribute("data-stale");
		lead(s);
		jrStatus(s.jrs);
		showSentience(s.sentience);
		put($("about"), `tribe ${s.version} · ${s.http_address}`);
		facts();
	});
	if (answer === true) banner(null);
	else if (answer.status !== 429 && answer.status !== 401) unknown(answer);
}

const thermal = () => ask("/api/v1/thermal", (t) => {
	last.thermal = t;
	showHeat(t);
	facts();
});

/** Calls fn now and again so many seconds after each time it has ended; not while the tab is hidden. */
function every(seconds, fn) {
	const turn = async () => {
		if (!document.hidden && !held()) await fn();
		setTimeout(turn, seconds * 1000);
	};
	turn();
	document.addEventListener("visibilitychange", () => !document.hidden && !held() && fn());
}

function onEvent(kind, data) {
	if (kind === "heartbeat") {
		beat(data);
		recallsSeen(data.recalls_total);
		return;
	}
	feedEvent(data);
	const now = new Date(data.at).getTime() > opened - 1000;
	if (now) jrEvent(data);
	drillEvent(data, now);
}

function onState(state) {
	const live = $("live");
	live.dataset.state = state === "live" ? "live" : "away";
	live.lastChild.textContent = state === "live" ? "live" : state instanceof Problem && state.status === 401 ? "token needed" : "reconnecting";
	if (state instanceof Problem) banner(state);
	if (state instanceof Problem && state.status === 401) unknown(state);
}

initTheme(() => {
	recolour();
	traceColours();
});
initJrs();
initSentience();
initAsk();
initCouncil();
initGovernance();
initDrills();
initFeed();
initToken(() => {
	hurry();
	status();
	thermal();
	refreshCouncil();
	refreshGovernance();
	refreshDrills();
});
initWhere();
every(2, status);
every(5, thermal);
every(15, refreshCouncil);
every(15, refreshGovernance);
every(30, refreshDrills);
follow(onEvent, onState);
