// Runs before anything is painted, so that a page in the theme of one's choice does not flash in the other one.
(function () {
  var chosen = new URLSearchParams(location.search).get("theme");
  try { chosen = chosen || localStorage.getItem("pulse.theme"); } catch (refused) { /* storage may be switched off */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
