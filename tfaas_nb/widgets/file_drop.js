// Choose files or drop them, and send them in parts. What is said is in file_drop.py.

const PART = 2 << 20; // far below the 10 MB at which Jupyter drops a message
const PATIENCE = 3000; // milliseconds until a silent kernel is called busy

const size = (bytes) =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// Only secure pages have it; without, parts go unchecked.
async function sha256(buffer) {
  if (!globalThis.crypto?.subtle) return null;
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// One upload: `progress(sent, note)` is called on the way.
class Upload {
  constructor(model, files, progress) {
    Object.assign(this, { model, files, progress, sent: 0, ended: false });
    this.id = `${Date.now()}-${Math.random()}`;
    this.answered = null;
    this.hear = (message) => message.id === this.id && this.answered?.(message);
    model.on("msg:custom", this.hear);
  }

  async run() {
    try {
      const files = this.files.map((file) => ({ name: file.name, size: file.size }));
      await this.ask({ kind: "begin", files });
      for (const [i, file] of this.files.entries()) await this.sendFile(file, i);
    } finally {
      this.ended = true;
      this.model.off("msg:custom", this.hear);
    }
  }

  async sendFile(file, i) {
    for (let offset = 0; offset < file.size; offset += PART) {
      let part;
      try {
        part = await file.slice(offset, offset + PART).arrayBuffer();
      } catch {
        throw new Error(`${file.name} cannot be read: was it changed or moved, or is it a folder?`);
      }
      await this.ask({ kind: "part", file: i, offset, sha256: await sha256(part) }, [part]);
      this.sent += part.byteLength;
      this.progress(this.sent);
    }
  }

  // Send a message and wait for the kernel's answer: the next one goes when this was taken.
  ask(message, buffers = []) {
    if (this.ended) throw new Error("cancelled");
    return new Promise((resolve, reject) => {
      const busy = setTimeout(
        () => this.progress(this.sent, "the kernel is busy; this goes on when its cell is done"),
        PATIENCE,
      );
      this.answered = (answer) => {
        clearTimeout(busy);
        if (answer.kind === "refused") reject(new Error(answer.why));
        else resolve(answer);
      };
      this.model.send({ ...message, id: this.id }, undefined, buffers);
    });
  }

  cancel() {
    if (this.ended) return;
    this.ended = true;
    this.model.send({ kind: "cancel", id: this.id });
    this.answered?.({ kind: "refused", why: "cancelled" });
  }
}

function render({ model, el }) {
  const input = element("input", { type: "file", multiple: true, hidden: true });
  const choose = element("button", { type: "button" });
  choose.className = "jupyter-button widget-button tfaas-nb-choose";
  const cancel = element("button", { type: "button", textContent: "Cancel", hidden: true });
  cancel.className = "jupyter-button widget-button";
  const hint = element("span", { textContent: "or drop files here" });
  const bar = element("progress", { hidden: true, max: 1, value: 0 });
  bar.setAttribute("aria-label", "Progress of the upload");
  const status = element("span", { className: "tfaas-nb-status" });
  status.setAttribute("role", "status");
  const area = element("div", { className: "tfaas-nb-drop" });
  area.setAttribute("role", "group");
  area.append(input, choose, hint, bar, cancel, status);
  el.append(area);
  // Keys are for these controls, not for the notebook around them.
  area.setAttribute("data-lm-suppress-shortcuts", "true");

  const show = () => {
    choose.textContent = model.get("label");
    area.setAttribute("aria-label", model.get("label"));
    input.accept = model.get("accept");
  };
  const say = (text, isError = false) => {
    status.setAttribute("role", isError ? "alert" : "status");
    status.textContent = isError ? `Error: ${text}` : text;
  };
  let upload = null;

  async function start(files) {
    if (!files.length || upload) return;
    const total = files.reduce((sum, file) => sum + file.size, 0);
    const most = model.get("most_bytes");
    const names = files.map((file) => file.name).join(", ");
    if (total > most) {
      say(`${names}: ${size(total)} are too much, a server takes up to ${size(most)}.`, true);
      return;
    }
    const progress = (sent, note) => {
      bar.value = total ? sent / total : 1;
      const share = Math.floor(100 * bar.value);
      say(note ? `${names}: ${note}` : `${names}: ${size(sent)} of ${size(total)} (${share} %)`);
    };
    upload = new Upload(model, files, progress);
    choose.disabled = true;
    bar.hidden = cancel.hidden = hint.hidden = false;
    hint.hidden = true;
    progress(0);
    try {
      await upload.run();
      say(`${names}: arrived, ${size(total)}.`);
    } catch (error) {
      const cancelled = error.message === "cancelled";
      say(cancelled ? `${names}: cancelled, nothing was kept.` : error.message, !cancelled);
    } finally {
      const hadFocus = document.activeElement === cancel;
      upload = null;
      choose.disabled = false;
      bar.hidden = cancel.hidden = true;
      hint.hidden = false;
      if (hadFocus) choose.focus();
    }
  }

  choose.onclick = () => input.click();
  cancel.onclick = () => upload?.cancel();
  input.onchange = () => {
    start([...input.files]);
    input.value = ""; // so that the same file can be chosen again
  };
  const over = (isOver) => (event) => {
    event.preventDefault();
    event.stopPropagation();
    area.classList.toggle("tfaas-nb-over", isOver);
  };
  area.ondragenter = area.ondragover = over(true);
  area.ondragleave = over(false);
  area.ondrop = (event) => {
    over(false)(event);
    start([...event.dataTransfer.files]);
  };
  show();
  model.on("change", show);
  return () => {
    upload?.cancel();
    model.off("change", show);
  };
}

export default { render };
