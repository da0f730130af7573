// Runs before the page is drawn, so that it never flashes in the other colours.
(() => {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("hitsave-theme"); } catch { return null; } };
  const apply = () => { document.documentElement.dataset.theme = kept() ?? (media.matches ? "dark" : "light"); };
  media.addEventListener("change", apply);
  apply();
  addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-switch]")) return;
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("hitsave-theme", next); } catch { /* private window: only for this page */ }
    document.documentElement.dataset.theme = next;
    dispatchEvent(new Event("hitsave-theme"));
  });
})();
