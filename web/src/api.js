// The tribe's own API: calls, errors as it words them, and the stream of events.
const KEY = "tribe-token";
const REFUSED_MS = 30000, HELD_MAX_MS = 60000;

export const token = () => sessionStorage.getItem(KEY) || "";
export function setToken(value) {
	if (value) sessionStorage.setItem(KEY, value);
	else sessionStorage.removeItem(KEY);
	heldUntil = 0;
}

let heldUntil = 0;
/** Is it no use to ask by itself now? Without a token that is taken, and as long as the tribe wants to be left alone. */
export const held = () => performance.now() < heldUntil;

/** What went wrong, in the server's words where it had any. */
export class Problem extends Error {
	constructor(status, body, retryAfter = 0) {
		super(body.detail || body.title || "the tribe did not answer");
		this.status = status;
		this.type = String(body.type || "").replace("urn:tribe:problem:", "");
		this.title = body.title || "";
		this.requestId = body.request_id || "";
		this.retryAfter = retryAfter; // seconds; 0: it said nothing
	}
}

function refusal(response, body) {
	const problem = new Problem(response.status, body, Number(response.headers.get("Retry-After")) || 0);
	const ms = problem.status === 401 ? REFUSED_MS : problem.status === 429 ? Math.max(1, problem.retryAfter) * 1000 : 0;
	if (ms > 0) heldUntil = performance.now() + Math.min(ms, HELD_MAX_MS); // asking again and again would only be counted
	return problem;
}

const headers = (more) => (token() ? { ...more, Authorization: `Bearer ${token()}` } : more);

function key() {
	return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

async function read(response) {
	const text = await response.text();
	try {
		return text === "" ? {} : JSON.parse(text);
	} catch {
		return {};
	}
}

export async function call(method, path, body, seconds = 30) {
	const init = { method, headers: headers({ Accept: "application/json" }), signal: AbortSignal.timeout(seconds * 1000), cache: "no-store" };
	if (body !== undefined) {
		init.body = JSON.stringify(body);
		init.headers["Content-Type"] = "application/json";
		init.headers["Idempotency-Key"] = key(); // repeated by the network or by an impatient click, it happens once
	}
	let response;
	try {
		response = await fetch(path, init);
	} catch (e) {
		throw new Problem(0, { detail: e.name === "TimeoutError" ? `no answer within ${seconds} seconds` : "the tribe cannot be reached" });
	}
	const doc = await read(response);
	if (!response.ok) throw refusal(response, doc);
	return doc;
}
export const get = (path) => call("GET", path, undefined, 15);

/** A block of an event stream -> {kind, id, data}; null: a comment. */
export function parse(block) {
	const event = { kind: "message", id: "", data: "" };
	for (const line of block.split("\n")) {
		const at = line.indexOf(":");
		const name = line.slice(0, at), value = line.slice(at + 1).replace(/^ /, "");
		if (name === "event") event.kind = value;
		else if (name === "id") event.id = value;
		else if (name === "data") event.data += value;
	}
	return event.data === "" ? null : event;
}

async function drain(body, onEvent) {
	const reader = body.pipeThrough(new TextDecoderStream()).getReader();
	let rest = "";
	for (;;) {
		const { value, done } = await reader.read();
		if (done) return;
		const blocks = (rest + value).split("\n\n");
		rest = blocks.pop();
		for (const block of blocks) {
			const event = parse(block);
			if (event !== null) onEvent(event);
		}
	}
}

let wake = () => {};
const nap = (time) => new Promise((done) => {
	const timer = setTimeout(done, time);
	wake = () => {
		clearTimeout(timer);
		done();
	};
});

/** Whoever waits to try the stream again tries now: there is another token. */
export const hurry = () => wake();

/** Follows the events for ever; EventSource cannot carry a token. onState: "live", "away" or a Problem. */
export async function follow(onEvent, onState) {
	let last = "0", wait = 250;
	for (;;) {
		let pause = 0;
		try {
			const response = await fetch("/api/v1/events", { headers: headers({ Accept: "text/event-stream", "Last-Event-ID": last }), cache: "no-store" });
			if (response.ok) {
				onState("live");
				wait = 250;
				await drain(response.body, (event) => {
					if (event.id !== "") last = event.id;
					onEvent(event.kind, JSON.parse(event.data), event.id);
				});
			} else {
				const problem = refusal(response, await read(response));
				onState(problem);
				if (held()) wait = pause = heldUntil - performance.now();
			}
		} catch {
			// it ended: executive-jr may just be changing hands
		}
		if (pause === 0) onState("away");
		await nap(wait);
		wait = pause > 0 ? 250 : Math.min(wait * 2, 4000);
	}
}
