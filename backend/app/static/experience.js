"use strict";
/*
 * What this page's user experiences, measured by the browser's own observers and reported when the page is hidden or
 * left: how long until the largest thing was painted, how long a key or a tap waited for its paint, how much the page
 * moved, what failed. The page itself adds how long its first tokens took (`experience.measure`).
 *
 * A report covers the time since the last one, so that nothing is counted twice by someone who comes and goes.
 */
(() => {
  // What the service takes: see backend/app/api/experience.py.
  const MAX_ITEMS = 50, MAX_SECONDS = 600, MAX_SHIFT = 100;
  // A burst of layout shifts, as web.dev defines it: less than 1 s from one to the next, and 5 s at most.
  const BURST_GAP_MS = 1000, BURST_MS = 5000;

  let measurements = [], errors = [];
  let largestPaint = null; // seconds; final once it has been reported
  let shift = { worst: 0, burst: 0, start: 0, last: 0 };
  let interactions = new Map(); // id → the longest of its events, in ms
  let firstReport = true;
  const bornHidden = document.visibilityState === "hidden"; // then its paint waited for its user, not for us

  function measure(metric, value) {
    const limit = metric === "cumulative_layout_shift" ? MAX_SHIFT : MAX_SECONDS;
    if (value <= limit && measurements.length < MAX_ITEMS) measurements.push({ metric, value });
  }

  function note(kind) {
    if (errors.length < MAX_ITEMS) errors.push({ kind });
  }

  function onPaint(entries) {
    largestPaint = entries.at(-1).startTime / 1000;
  }

  function onShift(entries) {
    for (const { hadRecentInput, startTime, value } of entries) {
      if (hadRecentInput) continue; // whoever pressed expects movement
      const goesOn = startTime - shift.last < BURST_GAP_MS && startTime - shift.start < BURST_MS;
      shift.burst = goesOn ? shift.burst + value : value;
      if (!goesOn) shift.start = startTime;
      shift.last = startTime;
      shift.worst = Math.max(shift.worst, shift.burst);
    }
  }

  function onInteraction(entries) {
    for (const { interactionId, duration } of entries) {
      if (interactionId) interactions.set(interactionId, Math.max(duration, interactions.get(interactionId) ?? 0));
    }
  }

  /** The slowest interaction; of very many, one in fifty may be slower. */
  function interactionToNextPaint() {
    const slowestFirst = [...interactions.values()].sort((a, b) => b - a);
    return slowestFirst[Math.floor(slowestFirst.length / 50)] / 1000;
  }

  const observers = [];
  function observe(type, handle, options = {}) {
    if (!PerformanceObserver.supportedEntryTypes.includes(type)) return; // not every browser has all of them
    const observer = new PerformanceObserver((list) => handle(list.getEntries()));
    observer.observe({ type, buffered: true, ...options });
    observers.push([observer, handle]);
  }

  function report() {
    for (const [observer, handle] of observers) {
      const entries = observer.takeRecords();
      if (entries.length) handle(entries);
    }
    if (firstReport && largestPaint !== null && !bornHidden) measure("largest_contentful_paint", largestPaint);
    if (interactions.size) measure("interaction_to_next_paint", interactionToNextPaint());
    if (firstReport || shift.worst) measure("cumulative_layout_shift", shift.worst);
    if (!measurements.length && !errors.length) return;
    const body = new Blob([JSON.stringify({ measurements, errors })], { type: "application/json" });
    send(body);
    firstReport = false;
    measurements = [], errors = [], interactions = new Map();
    shift = { worst: 0, burst: 0, start: 0, last: 0 };
  }

  /** A beacon has no headers, and so no key. Without the key that is asked for, nothing is told. */
  function send(body) {
    const path = "/api/v1/experience", key = document.getElementById("key").value;
    if (document.getElementById("access").hidden) navigator.sendBeacon(path, body);
    else if (key) {
      const headers = { Authorization: `Bearer ${key}` };
      fetch(path, { method: "POST", body, headers, keepalive: true }).catch(() => {});
    }
  }

  observe("largest-contentful-paint", onPaint);
  observe("layout-shift", onShift);
  observe("event", onInteraction, { durationThreshold: 16 });
  observe("first-input", onInteraction); // a first one faster than that threshold

  // Captured, since what fails to load tells only its own element; a script's error is an ErrorEvent, that is not.
  addEventListener("error", (event) => note(event instanceof ErrorEvent ? "script" : "resource"), true);
  addEventListener("unhandledrejection", () => note("unhandled_rejection"));
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && report());
  addEventListener("pagehide", report); // Safari leaves without hiding first

  globalThis.experience = { measure };
})();
