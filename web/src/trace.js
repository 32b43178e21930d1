// The trace of a Jr's heart: one beat a second as it came in, deaths and takeovers where they happened.
import { reduced } from "./dom.js";

const WINDOW = 14, KEEP = 20; // seconds shown, seconds kept
const FRAME_MS = 33;

/** Height of the curve, -1..1, so many seconds after a beat. */
function wave(t) {
	if (t < 0 || t > 0.7) return 0;
	const bump = (at, width, height) => height * Math.exp(-(((t - at) / width) ** 2));
	return bump(0.06, 0.03, 0.1) - bump(0.13, 0.014, 0.22) + bump(0.16, 0.017, 1) - bump(0.2, 0.018, 0.34) + bump(0.36, 0.06, 0.2);
}

// where a beat's curve is drawn: dense at the spike, so that its height never depends on the pixels
const OFFSETS = [0, 0.03, 0.06, 0.09, 0.115, 0.13, 0.145, 0.152, 0.16, 0.168, 0.178, 0.188, 0.2, 0.215, 0.24, 0.28, 0.32, 0.36, 0.4, 0.44, 0.5, 0.6, 0.7];

const traces = [];
let colours = {};

export function traceColours() {
	const style = getComputedStyle(document.documentElement);
	for (const name of ["accent", "bad", "good", "line", "muted"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
	for (const t of traces) t.draw();
}

export class Trace {
	constructor(canvas) {
		this.canvas = canvas;
		this.beats = [];
		this.marks = [];
		this.lost = false;
		traces.push(this);
	}

	now() {
		return performance.now() / 1000;
	}

	note(list, value) {
		const old = this.now() - KEEP;
		list.push(value);
		while (list.length > 0 && (list[0].at ?? list[0]) < old) list.shift();
		if (reduced.matches) this.draw();
	}

	beat() {
		this.lost = false;
		this.note(this.beats, this.now());
	}

	mark(kind) {
		this.note(this.marks, { at: this.now(), kind });
	}

	size() {
		const scale = Math.min(devicePixelRatio || 1, 2), { clientWidth: w, clientHeight: h } = this.canvas;
		if (this.canvas.width !== Math.round(w * scale) || this.canvas.height !== Math.round(h * scale)) {
			this.canvas.width = Math.round(w * scale);
			this.canvas.height = Math.round(h * scale);
		}
		return [w, h, scale];
	}

	draw() {
		const [w, h, scale] = this.size(), c = this.canvas.getContext("2d");
		if (w === 0) return;
		const now = this.now(), middle = h * 0.62, tall = h * 0.52, left = now - WINDOW;
		const x = (at) => ((at - left) / WINDOW) * (w - 3);
		c.setTransform(scale, 0, 0, scale, 0, 0);
		c.clearRect(0, 0, w, h);
		const ink = this.lost ? colours.bad : colours.accent;
		const fade = c.createLinearGradient(0, 0, w, 0);
		fade.addColorStop(0, "transparent");
		fade.addColorStop(0.25, ink);
		fade.addColorStop(1, ink);
		c.strokeStyle = fade;
		c.lineWidth = 1.75;
		c.lineJoin = "round";
		c.beginPath();
		c.moveTo(0, middle);
		let tip = middle;
		this.beats.forEach((beat, i) => {
			const end = Math.min(now, this.beats[i + 1] ?? now);
			for (const o of OFFSETS) {
				if (beat + o > end) break;
				c.lineTo(x(beat + o), middle - wave(o) * tall);
			}
			tip = middle - wave(end - beat) * tall;
		});
		c.lineTo(w - 3, tip);
		c.stroke();
		for (const m of this.marks) this.drawMark(c, x(m.at), middle, m.kind);
		c.fillStyle = ink;
		c.beginPath();
		c.arc(w - 3, tip, 2.75, 0, 7);
		c.fill();
	}

	drawMark(c, x, middle, kind) {
		if (x < 0) return;
		if (kind === "death") {
			c.strokeStyle = colours.bad;
			c.lineWidth = 2.25;
			c.beginPath();
			for (const d of [-1, 1]) {
				c.moveTo(x - 5, middle - 5 * d);
				c.lineTo(x + 5, middle + 5 * d);
			}
			c.stroke();
			return;
		}
		c.fillStyle = colours.good;
		c.beginPath();
		c.moveTo(x + 1, middle - 25);
		c.bezierCurveTo(x + 2, middle - 19, x + 7, middle - 18, x + 5, middle - 12);
		c.bezierCurveTo(x + 3, middle - 8, x - 4, middle - 8, x - 5, middle - 12);
		c.bezierCurveTo(x - 6, middle - 17, x, middle - 18, x + 1, middle - 25);
		c.fill();
	}
}

let drawn = 0;
function frame(time) {
	if (time - drawn >= FRAME_MS && !reduced.matches) {
		drawn = time;
		for (const t of traces) t.draw();
	}
	requestAnimationFrame(frame);
}

export function startTraces() {
	traceColours();
	requestAnimationFrame(frame); // the browser stops it by itself while the tab is hidden
	addEventListener("resize", () => traces.forEach((t) => t.draw()));
}
