// Keeps the page up to date. Everything it shows was written and escaped by the server; without it the page is whole.
"use strict";
(() => {
  const live = document.getElementById("live");
  const lost = document.getElementById("lost");
  let source = null;
  let heard = performance.now();
  let word = text("word");

  function text(id) {
    const element = document.getElementById(id);
    return element ? element.textContent.trim() : "";
  }

  // Makes `old` like `fresh` and leaves alone what is the same: focus, scrolling, selection, opened details.
  function morph(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const [was, is] = [[...old.childNodes], [...fresh.childNodes]];
    is.forEach((child, place) => (was[place] ? morph(was[place], child) : old.append(child)));
    was.slice(is.length).forEach((child) => child.remove());
  }

  function show(html) {
    const fresh = live.cloneNode(false);
    fresh.innerHTML = html;
    prepare(fresh);
    morph(live, fresh);
    const now = text("word");
    document.title = `${now} – makegood`;
    if (now !== word) {
      word = now;
      // Only a new word is read out: the figures change all the time.
      document.getElementById("announce").textContent = `${now}: ${text("verdict-name")}`;
    }
  }

  // A time counts on from what the server said, whatever this machine's clock shows.
  function prepare(root) {
    const seen = Math.round(performance.now());
    for (const time of root.querySelectorAll("time[data-age]")) time.dataset.seen = seen;
    for (const button of root.querySelectorAll("button.copy")) button.hidden = false;
  }

  function length(seconds) {
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  }

  function tick() {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const { age, seen, after } = time.dataset;
      const words = length(Number(age) + Math.floor((performance.now() - Number(seen)) / 1000)) + after;
      if (time.textContent !== words) time.textContent = words;
    }
    const silence = Math.floor((performance.now() - heard) / 1000);
    const late = silence > 20;
    if (late) lost.textContent = `makegood has not been heard of for ${length(silence)}; what is shown is as old.`;
    lost.hidden = !late;
    live.classList.toggle("old", late);
  }

  function listen() {
    if (source || document.hidden) return;
    source = new EventSource("/live");
    source.addEventListener("live", (event) => {
      heard = performance.now();
      show(event.data);
      tick();
    });
    source.addEventListener("error", () => {
      // The browser tries again by itself, unless it was refused.
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(listen, 10000);
      }
    });
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden && source) {
      source.close();
      source = null;
    } else {
      heard = performance.now();
      listen();
    }
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.firstChild.data = "Copied";
    } catch {
      button.firstChild.data = "Selected";
    }
    setTimeout(() => (button.firstChild.data = "Copy"), 2000);
  });

  prepare(document);
  setInterval(tick, 1000);
  listen();
})();
