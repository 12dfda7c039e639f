// Light or dark, before the first paint: as Airflow around this page is, else as it was chosen there, else as the system.
(function () {
  "use strict";
  function airflow() {
    try {
      if (window.parent !== window) return window.parent.document.documentElement.classList.contains("dark");
    } catch (error) {
      return null; // another origin around us: its theme is not ours to read
    }
    return null;
  }
  function chosen() {
    const dark = airflow();
    if (dark !== null) return dark;
    let stored = null;
    try {
      stored = window.localStorage.getItem("theme");
    } catch (error) {
      stored = null;
    }
    if (stored === "dark" || stored === "light") return stored === "dark";
    return window.matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function apply() {
    // In Airflow's frame the page has no ground of its own: Airflow's shows through.
    document.documentElement.toggleAttribute("data-embedded", airflow() !== null);
    const theme = chosen() ? "dark" : "light";
    if (document.documentElement.dataset.theme === theme) return;
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("themechange"));
  }
  apply();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  if (airflow() !== null) {
    new MutationObserver(apply).observe(window.parent.document.documentElement, { attributeFilter: ["class"] });
  }
})();
