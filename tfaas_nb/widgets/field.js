// A labelled field whose text the kernel judges; what is wrong with it is said below.

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// The number one step further, as the arrow keys of a browser's own fields for numbers give it.
function stepped(text, step, low, high) {
  const number = Number(text.trim() || "0");
  if (!Number.isFinite(number)) return null;
  const next = Number((number + step).toPrecision(12));
  return String(Math.min(high ?? Infinity, Math.max(low ?? -Infinity, next)));
}

function render({ model, el }) {
  const id = `tfaas-nb-${Date.now()}-${Math.random()}`;
  const label = element("label", { className: "widget-label", htmlFor: id });
  const input = element("input", { id, type: "text", autocomplete: "off", spellcheck: false });
  const offered = element("datalist", { id: `${id}-offered` });
  const error = element("div", { id: `${id}-error`, className: "tfaas-nb-error" });
  error.setAttribute("aria-live", "polite");
  el.classList.add("jupyter-widgets", "widget-text", "jupyter-widget-text", "tfaas-nb-field");
  el.setAttribute("data-lm-suppress-shortcuts", "true");
  el.append(label, input, error, offered);
  let sent = []; // texts that the kernel has not said it has
  let last = "";

  const tell = () => {
    if (input.value === last) return;
    last = input.value;
    sent.push(last);
    // Not by the state: its changes wait for each other, and a click would overtake them.
    model.send({ kind: "typed", text: last });
  };
  const show = () => {
    last = input.value = model.get("text");
  };
  const hear = () => {
    const at = sent.indexOf(model.get("text"));
    sent = at < 0 ? [] : sent.slice(at + 1);
    // What a person is about to type is not overwritten; it is told when the field is left.
    if (input.value === last && !sent.length) show();
  };
  const dress = () => {
    const why = model.get("error");
    const number = model.get("step") > 0;
    label.textContent = label.title = model.get("description");
    label.style.width = model.get("label_width");
    input.placeholder = model.get("placeholder");
    input.inputMode = number ? "decimal" : "text";
    input.disabled = model.get("disabled");
    const wrong = Boolean(why) || model.get("marked");
    input.setAttribute("aria-invalid", String(wrong));
    if (why) input.setAttribute("aria-describedby", error.id);
    else input.removeAttribute("aria-describedby");
    el.classList.toggle("tfaas-nb-wrong", wrong);
    error.textContent = why;
    error.hidden = !why;
  };
  const offer = () => {
    const options = model.get("options");
    offered.replaceChildren(...options.map((value) => element("option", { value })));
    if (options.length) input.setAttribute("list", offered.id);
    else input.removeAttribute("list");
  };
  input.addEventListener("input", () => model.get("continuous_update") && tell());
  input.addEventListener("change", tell);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowUp: 1, ArrowDown: -1 }[event.key] * model.get("step");
    if (event.key === "Enter") tell();
    if (!step) return;
    event.preventDefault();
    const next = stepped(input.value, step, model.get("min"), model.get("max"));
    if (next === null) return;
    input.value = next;
    tell();
  });
  show();
  dress();
  offer();
  model.on("change:text", hear);
  model.on("change", dress);
  model.on("change:options", offer);
  return () => {
    model.off("change:text", hear);
    model.off("change", dress);
    model.off("change:options", offer);
  };
}

export default { render };
