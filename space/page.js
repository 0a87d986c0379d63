// What the Judge page does in the browser: it keeps the last image here, so that the server need not.
// Another model or another rate is asked with the same file, sent again; nobody else ever holds it.
(() => {
  let kept = null; // {file} or {url}; {file, sent} where Gradio has sent it
  let ownRate = false; // whether the next question leaves the rate to the model

  const base = () => `${window.gradio_config.root}${window.gradio_config.api_prefix}`;

  async function upload(file) {
    const form = new FormData();
    form.append("files", file, file.name || "image");
    const answer = await fetch(`${base()}/upload`, { method: "POST", body: form, credentials: "same-origin" });
    if (!answer.ok) throw new Error(await answer.text());
    const [path] = await answer.json();
    return { path, orig_name: file.name, mime_type: file.type, size: file.size, meta: { _type: "gradio.FileData" } };
  }

  // What the camera took: Gradio has sent it, and shows it until it is read back here.
  async function takenBack(image) {
    const answer = await fetch(image.url);
    const file = new File([await answer.blob()], image.orig_name || "image");
    await Promise.allSettled([...document.querySelectorAll("#picture img")].map((shown) => shown.decode()));
    return file;
  }

  const press = () => document.querySelector("#again button, button#again").click();

  function judge(image) {
    if (!image.file && !image.url) return;
    kept = image;
    press();
  }

  window.fakelens = {
    judge,
    press,
    // The select of rates goes back to the model's own with every new model.
    otherModel: () => {
      ownRate = true;
      press();
    },
    // What an event judges: the image that is kept here.
    again: async (image, url, model, rate) => {
      if (ownRate) rate = null;
      ownRate = false;
      if (!kept) return [null, "", model, rate];
      const { sent } = kept;
      delete kept.sent; // an upload is judged once, and gone
      if (sent) return [sent, "", model, rate];
      return kept.file ? [await upload(kept.file), "", model, rate] : [null, kept.url, model, rate];
    },
    // What the camera took; the zone is emptied for the next image.
    taken: async (image) => {
      if (!image) return;
      kept = { file: await takenBack(image), sent: image };
      document.querySelector("#picture button[aria-label='Remove Image']")?.click();
      press();
    },
    // On a phone the verdict comes up below what can be seen.
    show: () => {
      const card = document.querySelector("#verdict .fl-card");
      if (card && card.getBoundingClientRect().top > window.innerHeight * 0.7) card.scrollIntoView();
    },
  };

  // Files for the drop zone are taken here and not by Gradio, whose preview would ask the server for a file that is
  // deleted as soon as it is judged.
  const isInZone = (target) => target.closest && target.closest("#picture");
  document.addEventListener("change", (event) => {
    if (event.target.type !== "file" || !isInZone(event.target) || !event.target.files.length) return;
    event.stopImmediatePropagation();
    judge({ file: event.target.files[0] });
    event.target.value = ""; // so that the same file can be chosen again
  }, true);
  document.addEventListener("drop", (event) => {
    if (!isInZone(event.target) || !event.dataTransfer.files.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true })); // ends the zone's highlight
    judge({ file: event.dataTransfer.files[0] });
  }, true);

  // An image pasted anywhere on the Judge page, except into a field.
  document.addEventListener("paste", (event) => {
    const page = document.querySelector("#picture");
    if (!page || !page.offsetParent || event.target.closest("input, textarea")) return;
    const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      event.stopImmediatePropagation();
      judge({ file });
    }
  }, true);

  document.addEventListener("click", async (event) => {
    const example = event.target.closest && event.target.closest("[data-fl=example]");
    if (!example) return;
    const answer = await fetch(example.dataset.image);
    judge({ file: new File([await answer.blob()], example.dataset.name) });
  });

  document.addEventListener("input", (event) => {
    if (event.target.dataset.fl === "strength") {
      event.target.closest(".fl-where").style.setProperty("--strength", event.target.value / 100);
    }
  });

  // Screen readers are told of a verdict as it comes, by a region that is there before; and the zone for dropping,
  // which Gradio takes out of the keyboard's order, is the one way to choose a file.
  const mend = () => {
    document.querySelector("#verdict")?.setAttribute("aria-live", "polite");
    for (const zone of document.querySelectorAll("#picture button[aria-dropeffect]")) zone.tabIndex = 0;
  };
  new MutationObserver(mend).observe(document.documentElement, { childList: true, subtree: true });
})();
