(function () {
	"use strict";
	var input = document.getElementById("filter"), shown = document.getElementById("shown"), nothing = document.getElementById("nothing");
	var hosts = Array.prototype.slice.call(document.querySelectorAll("[data-find]")).map(function (e) {
		return { element: e, text: e.getAttribute("data-find") };
	});
	function hide(list, empty) {
		Array.prototype.forEach.call(document.querySelectorAll(list), function (e) { e.hidden = empty(e); });
	}
	function none(e) { return !e.querySelector("[data-find]:not([hidden])"); }
	function apply() {
		var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), n = 0;
		hosts.forEach(function (h) {
			h.element.hidden = !words.every(function (w) { return h.text.indexOf(w) >= 0; });
			if (!h.element.hidden && !h.element.parentElement.closest("[data-find]")) { n++; }
		});
		hide("[data-cluster]", none);
		hide("main > section", none);
		nothing.hidden = n > 0;
		shown.textContent = words.length ? n + (n === 1 ? " host" : " hosts") : "";
	}
	function fromAddress() {
		try { input.value = decodeURIComponent(location.hash.slice(1)); } catch (e) { input.value = ""; }
		apply();
	}
	input.parentElement.hidden = false;
	window.addEventListener("hashchange", fromAddress);
	input.addEventListener("input", apply);
	document.addEventListener("keydown", function (e) {
		if (e.key === "/" && document.activeElement !== input) { e.preventDefault(); input.focus(); }
		if (e.key === "Escape" && document.activeElement === input) { input.value = ""; apply(); }
	});
	fromAddress();
})();
