// Clicks through the page as a person would, in Chromium: node page.mjs BASE TOOLS OUT
// BASE: the tribe's address; TOOLS: a directory with node_modules; OUT: where screenshots go. Ends with 0 when all is well.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [, , BASE, TOOLS, OUT] = process.argv;
const load = createRequire(join(TOOLS, "package.json"));
const { chromium } = load("playwright-core");
const AXE = readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = 20000;
const JRS = ["memory_jr", "executive_jr", "integration_jr", "meta_jr"];
const DESKTOP = { width: 1440, height: 900 }, PHONE = { width: 390, height: 844 };

const wrong = []; // console errors and requests that nobody may see
let away = false; // executive-jr is being killed: its connections may break
let expected = 0; // a status that a step provokes

function check(truth, what) {
	if (!truth) throw new Error(what);
}

async function api(path, body, token) {
	const bearer = token ? { Authorization: `Bearer ${token}` } : {};
	const init = body === undefined ? { headers: bearer } : { method: "POST", headers: { "Content-Type": "application/json", ...bearer }, body: JSON.stringify(body) };
	const answer = await fetch(BASE + path, init);
	return { status: answer.status, headers: answer.headers, json: await answer.json().catch(() => null) };
}

function watch(page, name) {
	page.setDefaultTimeout(PATIENCE);
	page.on("pageerror", (e) => wrong.push(`${name}: ${e.stack}`));
	page.on("request", (r) => new URL(r.url()).origin === new URL(BASE).origin || wrong.push(`${name}: asks ${r.url()}`));
	page.on("console", (m) => {
		if (m.type() !== "error" && m.type() !== "warning") return;
		const url = m.location().url;
		if (away && url.startsWith(BASE) && /Failed to load resource: net::ERR_/.test(m.text())) return;
		if (expected !== 0 && m.text().includes(`status of ${expected}`)) return;
		wrong.push(`${name}: ${m.text()} ${url}`);
	});
}

async function open(browser, name, options, path = "/") {
	const context = await browser.newContext(options);
	const page = await context.newPage();
	watch(page, name);
	const answer = await page.goto(BASE + path);
	check(answer.status() === 200, `${path} is ${answer.status()}`);
	return page;
}

const beats = (page, jr) => page.locator(`[data-jr="${jr}"]`).getAttribute("data-beats").then(Number);
const alive = (page) => page.waitForFunction((jrs) => jrs.every((jr) => {
	const card = document.querySelector(`[data-jr="${jr}"]`);
	return card && card.dataset.state === "up" && Number(card.dataset.beats) > 0;
}), JRS);

async function axe(page, name) {
	await page.evaluate(AXE); // by the debugger: the page's own policy would refuse a script of ours
	// of what is made alike a hundred times, some: the third call of a group and later ones, old events
	const alike = [["article.call ~ article.call ~ article.call"], [".feed li:nth-child(n+8)"], [".col:nth-child(n+4)"]];
	const { violations } = await page.evaluate((exclude) => window.axe.run({ exclude }, { resultTypes: ["violations"], preload: false }), alike);
	const lines = violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.length} times, first ${v.nodes[0].target} ${(v.nodes[0].any[0] || v.nodes[0].all[0] || v.nodes[0].none[0] || {}).message || ""}`);
	check(!violations.some((v) => v.impact === "serious" || v.impact === "critical"), `axe, ${name}:\n${lines.join("\n")}`);
	return lines.map((line) => `${name}: ${line}`);
}

async function shoot(page, name, whole = true) {
	await page.evaluate(() => scrollTo(0, 0));
	await page.screenshot({ path: join(OUT, `${name}.png`), fullPage: whole });
}

// ---- what is done, in this order ----

const steps = {
	async "an empty tribe teaches"({ page }) {
		await page.getByText("Nothing is remembered yet").waitFor();
		await page.getByText("No drill yet.").waitFor();
		await page.getByText("The decision log is empty.").waitFor();
		check(await page.locator("#gauge").getAttribute("data-index") === "", "no index before twenty recalls");
		await page.locator("#warming").getByText(/Warming up: .*recalls made/).waitFor();
	},
	async "the policy lets nothing else in"() {
		const answer = await fetch(`${BASE}/`), policy = answer.headers.get("content-security-policy");
		check(/default-src '(none|self)'/.test(policy) && !/unsafe|\*|https?:/.test(policy), `policy: ${policy}`);
		const again = await fetch(`${BASE}/assets/app.js`), tag = again.headers.get("etag");
		const same = await fetch(`${BASE}/assets/app.js`, { headers: { "If-None-Match": tag, "Accept-Encoding": "gzip" } });
		check(tag && (same.status === 304 || same.status === 200), "assets carry an ETag");
		check((await fetch(`${BASE}/assets/nothing.js`)).status === 404, "no other assets");
		check((await (await fetch(`${BASE}/`, { headers: { Accept: "application/json" } })).json()).name === "tribe", "a program gets the list of calls");
	},
	async "four Jrs beat"({ page }) {
		await alive(page);
		const before = await beats(page, "meta_jr");
		await page.waitForFunction((n) => Number(document.querySelector('[data-jr="meta_jr"]').dataset.beats) > n, before);
		check((await page.locator("#live").textContent()).trim() === "live", "the stream is live");
	},
	async "a question is answered with its sources"({ page }) {
		for (const [i, content] of ["The kettle in the north kitchen is blue.", "The kettle in the south kitchen is red.", "The oath: what was acknowledged is never lost."].entries()) {
			check((await api("/api/v1/memories", { content, speaker: "Ada", sacred: false, id: `web-${i}` })).status === 201, "remembered");
		}
		await page.fill("#question", "Which colour is the kettle in the north kitchen?");
		await page.press("#question", "Enter");
		await page.locator(".said").waitFor();
		check((await page.locator(".said").textContent()).includes("blue"), "the answer");
		check((await page.locator("#answer .memory").first().textContent()).includes("blue"), "its source");
		check(/\d+ % sure/.test(await page.locator("#answer .sure").textContent()), "how sure it is");
		await page.locator("#answer .cite").first().click();
		check((await page.evaluate(() => location.hash)).startsWith("#source-"), "a citation leads to its source");
		await page.locator("#answer .memory").first().getByRole("button", { name: "Why source 1" }).click();
		await page.locator("#answer .why .terms").first().waitFor();
		check((await page.locator("#answer .why").first().textContent()).includes("log2"), "why it is as hot as it is");
		await page.fill("#question", "zxqv wvut?");
		await page.click("#ask-form button");
		await page.getByText("Nothing that is remembered fits").waitFor();
	},
	async "temperatures are shown"({ page }) {
		await page.getByText("3 memories,").waitFor();
		check(await page.locator("#histogram .col").count() === 20, "twenty bars");
		await page.locator("#hottest").getByRole("button", { name: "Why is it so hot" }).first().click();
		await page.locator("#hottest .why").getByText("A use halves every").waitFor();
	},
	async "the index comes with the recalls"({ page }) {
		for (let i = 0; i < 21; i++) check((await api("/api/v1/ask", { question: "Which colour is the kettle?" })).status === 200, "asked");
		await page.waitForFunction(() => Number(document.querySelector("#gauge").dataset.index) > 0);
		await page.locator("#history details summary").click();
		check(await page.locator("#history tbody tr").count() > 0, "the history is a table, too");
	},
	async "a vote is called"({ page }) {
		await page.fill("#proposal", "Shall we paint the kettle in the north kitchen green?");
		await page.getByRole("button", { name: "Call a vote" }).click();
		await page.locator("#vote-result .ballots li").nth(3).waitFor();
		const said = await page.locator("#vote-result").textContent();
		check(["Memory Jr", "Executive Jr", "Meta Jr", "Integration Jr"].every((jr) => said.includes(jr)), `a ballot of each Jr: ${said}`);
		check((await page.locator("#vote-result .outcome").textContent()) !== "", "an outcome");
		const votes = (await api("/api/v1/votes?limit=5")).json.votes;
		check(votes.length === 1, "one vote");
		await page.reload();
		await page.locator("#votes [data-vote] summary").first().click();
		await page.locator("#votes [data-vote] .ballots li").nth(3).waitFor();
	},
	async "a decision is written down"({ page }) {
		await page.fill("#decision", "The kettle stays blue.");
		await page.getByRole("button", { name: "Write it down" }).click();
		await page.locator("#decisions li").getByText("The kettle stays blue.").waitFor();
	},
	async "a drill runs and its result is seen"({ page }) {
		await page.selectOption("#drill-jr", "integration");
		await page.fill("#drill-kills", "2");
		await page.getByRole("button", { name: "Run the drill" }).click();
		await page.locator("#drill-list [data-drill]").first().waitFor();
		const drill = (await api("/api/v1/drills?limit=5")).json.drills[0];
		check(drill.injected === 2 && drill.recovered === 2 && drill.jrs.join() === "integration_jr", `two kills, two recoveries: ${JSON.stringify(drill)}`);
		check((await page.locator("#drill-list [data-drill]").first().textContent()).includes("2 of 2"), "the table shows it");
		check(await page.locator("#drill-list .latency li").count() >= 3, "and the latencies");
		await page.locator("#recoveries summary").click();
		await page.locator("#recoveries tbody tr").nth(1).waitFor();
		check(await page.locator("#recoveries canvas").count() === 1, "and the plot");
		await page.waitForFunction(() => !document.querySelector("#drill-form button").disabled);
		expected = 403;
		await page.selectOption("#drill-fault", "spin"); // needs a setting that this tribe does not have
		await page.getByRole("button", { name: "Run the drill" }).click();
		await page.locator("#drill-progress .error").getByText("drills: true").waitFor();
		expected = 0;
	},
	async "a killed Jr's beat comes back"({ page }) {
		for (const jr of ["integration_jr", "executive_jr"]) {
			const { pid } = (await api("/api/v1/status")).json.jrs[jr];
			away = true;
			process.kill(pid, "SIGKILL");
			await page.waitForFunction(([id, old]) => {
				const card = document.querySelector(`[data-jr="${id}"]`);
				return card.dataset.state === "up" && card.dataset.pid !== String(old);
			}, [jr, pid]);
			const n = await beats(page, jr);
			await page.waitForFunction(([id, seen]) => Number(document.querySelector(`[data-jr="${id}"]`).dataset.beats) > seen, [jr, n]);
			await page.locator("#feed li.bad").getByText(`pid ${pid}`).first().waitFor();
		}
		await page.waitForFunction(() => document.querySelector("#live").dataset.state === "live" && document.querySelector("#trouble").hidden);
		away = false;
	},
	async "keys alone are enough"({ page }) {
		await page.evaluate(() => {
			scrollTo(0, 0);
			document.activeElement.blur();
		});
		await page.reload();
		await alive(page);
		const seen = [], blind = [];
		for (let i = 0; i < 150; i++) {
			await page.keyboard.press("Tab");
			const at = await page.evaluate(() => {
				const el = document.activeElement, style = getComputedStyle(el);
				return { name: el === document.body ? "" : `${el.tagName} ${el.id || el.getAttribute("aria-label") || el.textContent.trim().slice(0, 30)}`, shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, end: el.closest("footer") !== null && el.textContent === "metrics" };
			});
			seen.push(at.name);
			if (!at.shown && at.name !== "") blind.push(at.name);
			if (at.end) break;
		}
		check(seen[0].includes("Skip to the content"), `the first stop is the skip link: ${seen[0]}`);
		check(seen.at(-1).includes("metrics"), `the last link is reached: ${seen.join(" | ")}`);
		check(seen.some((s) => s.includes("question")) && seen.some((s) => s.includes("drill-kills")), "forms are reached");
		check(blind.length === 0, `focus is not seen on: ${blind.join(" | ")}`);
		await page.locator("#token-open").focus();
		await page.keyboard.press("Enter");
		check(await page.locator("#token-value").evaluate((el) => document.activeElement === el || el.closest("dialog").open), "the dialog opens");
		await page.keyboard.press("Escape");
		check(await page.locator("#token-open").evaluate((el) => document.activeElement === el), "and gives the focus back");
		await page.locator("#theme").press("Enter");
		check(await page.evaluate(() => document.documentElement.dataset.theme) === "light", "the switch works");
		await page.locator("#theme").press("Enter");
	},
	async "a token stays in its tab"({ page }) {
		await page.click("#token-open");
		await page.fill("#token-value", "not-a-token-that-anybody-has");
		await page.getByRole("button", { name: "Use it" }).click();
		check(await page.evaluate(() => sessionStorage.getItem("tribe-token")) === "not-a-token-that-anybody-has", "in this tab");
		check(!(await page.evaluate(() => JSON.stringify(localStorage))).includes("not-a-token"), "and nowhere else");
		const [request] = await Promise.all([page.waitForRequest((r) => r.url().includes("/api/v1/status")), page.evaluate(() => 0)]);
		check((await request.allHeaders()).authorization === "Bearer not-a-token-that-anybody-has", "it goes with each call");
		await page.click("#token-open");
		await page.getByRole("button", { name: "Forget it" }).click();
		check(await page.evaluate(() => sessionStorage.getItem("tribe-token")) === null, "forgotten");
	},
	async "everybody can read it"({ browser, page }) {
		const lesser = await axe(page, "dark");
		await shoot(page, "dark");
		for (const [name, options, path] of [
			["light", { colorScheme: "light", viewport: DESKTOP }, "/"],
			["phone", { colorScheme: "dark", viewport: PHONE, deviceScaleFactor: 2, hasTouch: true, isMobile: true }, "/"],
			["docs-dark", { colorScheme: "dark", viewport: DESKTOP }, "/docs"],
			["docs-phone", { colorScheme: "light", viewport: PHONE, deviceScaleFactor: 2, hasTouch: true, isMobile: true }, "/docs"],
		]) {
			const other = await open(browser, name, options, path);
			if (path === "/") {
				await alive(other);
				await other.locator("#hottest li").first().waitFor();
				await other.fill("#question", "Which colour is the kettle in the south kitchen?");
				await other.press("#question", "Enter");
				await other.locator(".said").waitFor();
			} else {
				await other.locator("#calls article, #calls .error").first().waitFor();
			}
			check(await other.evaluate(() => document.scrollingElement.scrollWidth <= innerWidth), `${name} scrolls sideways`);
			lesser.push(...await axe(other, name));
			await shoot(other, name, path === "/");
			await other.context().close();
		}
		return `lesser findings: ${lesser.join("; ") || "none"}`;
	},
	async "the API explains itself"({ browser }) {
		const { paths } = (await api("/openapi.json")).json;
		const page = await open(browser, "docs", { colorScheme: "dark", viewport: DESKTOP }, "/docs");
		await page.locator("article.call").first().waitFor();
		const calls = Object.values(paths).reduce((n, item) => n + ["get", "post", "put", "patch", "delete"].filter((m) => item[m]).length, 0);
		check(await page.locator("article.call").count() === calls, `each of ${calls} calls has its article`);
		check(await page.locator("article.call pre").getByText(`${BASE}/api/v1/status`).count() > 0, "curl lines name this server");
		await page.locator("#index a").getByText("/ask").click();
		check((await page.evaluate(() => location.hash)).includes("ask"), "the list leads to the call");
		await page.context().close();
		return `${calls} calls`;
	},
	async "who wants no motion gets none"({ browser }) {
		const page = await open(browser, "still", { reducedMotion: "reduce", viewport: DESKTOP });
		await alive(page);
		check(await page.evaluate(() => document.getAnimations().length) === 0, "nothing moves");
		check(await page.locator('[data-jr="memory_jr"] canvas').evaluate((c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)), "the trace is drawn all the same");
		await page.context().close();
	},
	async "a build without the library for plots has its tables"({ browser }) {
		const context = await browser.newContext({ viewport: DESKTOP });
		const page = await context.newPage();
		watch(page, "no plots");
		await page.route("**/assets/uplot.js", (route) => route.fulfill({ contentType: "text/javascript", body: "/* none */" }));
		await page.goto(BASE + "/");
		await alive(page);
		check(await page.evaluate(() => globalThis.uPlot === undefined), "it is not there");
		for (const name of ["#sentience", "#drills"])
			check(await page.locator(`${name} details[open] table`).first().isVisible(), `the table of ${name} stands open`);
		await context.close();
	},
	async "where tokens are used it asks for one"({ page }) {
		const made = {};
		expected = 401; // from the first one on
		for (const scope of ["admin", "read"]) {
			const answer = await api("/api/v1/tokens", { name: `web-${scope}`, scopes: [scope] }, made.admin);
			check(answer.status === 201, `a token is made: ${answer.status}`);
			made[scope] = answer.json.token;
		}
		const use = async (token) => {
			await page.click("#token-open");
			await page.fill("#token-value", token);
			await page.getByRole("button", { name: "Use it" }).click();
		};
		await page.reload();
		await page.locator("#live").getByText("token needed").waitFor();
		await page.locator("#trouble").getByText("use the button Token").waitFor();
		await use(made.read);
		await alive(page);
		await page.waitForFunction(() => document.querySelector("#trouble").hidden);
		expected = 403;
		await page.getByRole("button", { name: "Run the drill" }).click();
		await page.locator("#drill-progress .error").getByText("403").waitFor();
		expected = 0;
		await use(made.admin);
		await page.selectOption("#drill-jr", "meta");
		await page.waitForFunction(() => !document.querySelector("#drill-form button").disabled);
		await page.getByRole("button", { name: "Run the drill" }).click();
		await page.locator("#drill-list [data-drill]").first().getByText("Meta Jr").waitFor();
	},
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
let failed = 0;
try {
	const page = await open(browser, "page", { colorScheme: "dark", viewport: DESKTOP });
	for (const [name, step] of Object.entries(steps)) {
		const began = Date.now();
		const more = await step({ browser, page });
		check(wrong.length === 0, `${name}: ${wrong.join("\n")}`);
		console.log(`ok ${name} (${Date.now() - began} ms)${more ? `: ${more}` : ""}`);
	}
} catch (e) {
	failed = 1;
	console.error(`FAILED ${e.stack}\n${wrong.join("\n")}`);
	for (const context of browser.contexts()) for (const [i, page] of context.pages().entries()) await page.screenshot({ path: join(OUT, `failed-${i}.png`) }).catch(() => {});
}
await browser.close();
process.exit(failed);
