// A label, a text, and a button that copies it.

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Where the page's Jupyter server begins: Lab, Notebook 7 and Voila tell it in a script element,
// the classic Notebook in an attribute.
function base() {
  const config = document.getElementById("jupyter-config-data")?.textContent;
  const told = config && JSON.parse(config).baseUrl;
  return new URL(told || document.body.dataset.baseUrl || "/", location.origin).href;
}

// Pages that are not secure have no clipboard but the old command.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { value: text, readOnly: true });
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    try {
      return document.execCommand("copy");
    } finally {
      area.remove();
    }
  }
}

function render({ model, el }) {
  const label = element("span", { className: "tfaas-nb-label" });
  const text = element("code");
  const button = element("button", { type: "button", textContent: "Copy" });
  button.className = "jupyter-button widget-button";
  const status = element("span");
  status.setAttribute("role", "status");
  const line = element("div", { className: "tfaas-nb-copy" }, label, text, button, status);
  line.setAttribute("data-lm-suppress-shortcuts", "true");
  el.append(line);
  let asked = null;

  const shown = () => {
    const value = model.get("value");
    return model.get("below") && value ? new URL(value, base()).href : value;
  };
  const show = () => {
    label.textContent = `${model.get("label")}:`;
    text.textContent = shown();
    button.setAttribute("aria-label", `Copy: ${model.get("label")}`);
    line.hidden = !model.get("value");
    status.textContent = "";
  };
  const put = async (value) => {
    const done = await copy(value);
    status.textContent = done ? "copied" : "the browser does not let pages copy";
    button.focus();
  };
  const hear = (message) => {
    if (message.kind === "secret" && message.id === asked) put(message.text);
  };
  button.onclick = () => {
    if (!model.get("secret")) return put(shown());
    asked = `${Date.now()}-${Math.random()}`;
    model.send({ kind: "copy", id: asked });
  };
  show();
  model.on("change", show);
  model.on("msg:custom", hear);
  if (model.get("below")) model.send({ kind: "host", host: location.hostname });
  return () => {
    model.off("change", show);
    model.off("msg:custom", hear);
  };
}

export default { render };
