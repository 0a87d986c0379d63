// What the pages do in the browser: each zone for an image keeps the last one here, so that the server need not.
// Another model or another rate is asked with the same file, sent again; nobody else ever holds it.
(() => {
  const kept = {}; // by zone: {file} or {url}
  let ownRate = false; // whether the next question leaves the rate to the model

  const base = () => `${window.gradio_config.root}${window.gradio_config.api_prefix}`;
  const zoneOf = (node) => node.closest?.("[data-zone]")?.dataset.zone;
  const find = (zone) => document.querySelector(`#zone-${zone}`);

  // Returns an upload as the server's events take it, or what went wrong.
  async function upload(file) {
    try {
      const form = new FormData();
      form.append("files", file, file.name || "image");
      const answer = await fetch(`${base()}/upload`, { method: "POST", body: form, credentials: "same-origin" });
      if (!answer.ok) return { problem: (await answer.text()) || `the server answered ${answer.status}` };
      const [path] = await answer.json();
      return { path, orig_name: file.name, mime_type: file.type, size: file.size, meta: { _type: "gradio.FileData" } };
    } catch {
      return { problem: "it could not be sent; check the connection" };
    }
  }

  function busy(zone, isBusy) {
    find(zone)?.classList.toggle("fl-is-busy", isBusy);
    document.querySelector(".fl-page")?.classList.toggle("fl-waiting", isBusy && zone === "image");
  }

  function again(zone) {
    if (!kept[zone]) return;
    busy(zone, true);
    document.querySelector(`#ask-${zone} button, button#ask-${zone}`).click();
  }

  function take(zone, image) {
    if (!image.file && !image.url) return;
    kept[zone] = image;
    again(zone);
  }

  window.fakelens = {
    again,
    address: (url) => take("image", { url }),
    // The select of rates goes back to the model's own with every new model.
    otherModel: () => {
      ownRate = true;
      again("image");
    },
    // What an event scores: the image that is kept here.
    ask: async (zone, sent, url, model, rate) => {
      const image = kept[zone];
      const file = image?.file ? await upload(image.file) : null;
      if (zone !== "image") return [file];
      if (ownRate) rate = null;
      ownRate = false;
      return [file, image?.url || "", model, rate];
    },
    rest: (zone) => busy(zone, false),
    // Screen readers are told of a verdict; on a phone it comes up above, where the eyes may not be.
    show: (zone) => {
      busy(zone, false);
      const card = document.querySelector("#verdict .fl-card");
      if (!card) return;
      const said = [card.querySelector("h2").lastChild, card.querySelector(".fl-sentence")];
      const isAlert = card.classList.contains("fl-error"); // which is read out as it is
      document.querySelector("#fl-live").textContent = isAlert ? "" : said.map((part) => part.textContent.trim()).join(". ");
      const { top } = card.getBoundingClientRect();
      if (top < 0 || top > window.innerHeight * 0.5) card.scrollIntoView({ block: "start" });
    },
  };

  const choose = (zone, input = 0) => find(zone).querySelectorAll("input[type=file]")[input].click();

  // A phone has a camera of its own behind a file input; elsewhere the page shows what the camera sees.
  async function photograph(zone) {
    if (matchMedia("(pointer: coarse)").matches) return choose(zone, 1);
    const dialog = document.createElement("dialog");
    dialog.className = "fl-camera";
    dialog.innerHTML =
      '<video autoplay playsinline muted></video><p role="status">Waiting for the camera …</p><div>' +
      '<button type="button" class="fl-primary" disabled>Take the photo</button>' +
      '<button type="button" class="fl-secondary">Cancel</button></div>';
    const [video, status] = dialog.querySelectorAll("video, p");
    const [shoot, cancel] = dialog.querySelectorAll("button");
    document.body.append(dialog);
    dialog.showModal();
    let stream = null;
    cancel.onclick = () => dialog.close();
    dialog.onclose = () => {
      stream?.getTracks().forEach((track) => track.stop());
      dialog.remove();
    };
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      status.textContent = "No camera can be used here: there is none, or this page may not use it.";
      return;
    }
    if (!dialog.open) return dialog.onclose();
    video.srcObject = stream;
    await video.play();
    status.textContent = "";
    shoot.disabled = false;
    shoot.onclick = () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => take(zone, { file: new File([blob], "photo.png", { type: "image/png" }) }));
      dialog.close();
    };
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-fl]");
    if (button?.dataset.fl === "choose") choose(zoneOf(button));
    if (button?.dataset.fl === "camera") photograph(zoneOf(button));
    if (button?.dataset.fl === "example") {
      const { src } = button.querySelector("img");
      const blob = await (await fetch(src)).blob();
      take("image", { file: new File([blob], button.dataset.file, { type: blob.type }) });
    }
  });

  document.addEventListener("change", (event) => {
    const zone = event.target.type === "file" && zoneOf(event.target);
    if (!zone || !event.target.files.length) return;
    take(zone, { file: event.target.files[0] });
    event.target.value = ""; // so that the same file can be chosen again
  }, true);

  // Dropped beside a zone, a file would replace the page; dropped on one, it is taken.
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      const zone = zoneOf(event.target);
      if (!zone || !find(zone).contains(event.target)) return;
      event.preventDefault();
      find(zone).classList.toggle("fl-over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files.length) take(zone, { file: event.dataTransfer.files[0] });
    }, true);
  }

  // An image pasted anywhere on a page with a zone, except into a field.
  document.addEventListener("paste", (event) => {
    const zone = [...document.querySelectorAll(".fl-zone")].find((one) => one.offsetParent)?.dataset.zone;
    if (!zone || event.target.closest("input, textarea")) return;
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    take(zone, { file });
  }, true);

  document.addEventListener("input", (event) => {
    if (event.target.dataset.fl === "strength") {
      event.target.closest(".fl-where").style.setProperty("--strength", event.target.value / 100);
    }
  });
})();
