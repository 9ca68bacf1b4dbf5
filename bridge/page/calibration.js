// Calibration: rest, the guided minute, and profiles.

import { busy, element, show, twice } from "./widgets.js";

const POSES = {
  smile: ["Smile", "as broadly as you like, with your teeth"],
  frown: ["Frown", "pull the corners of your mouth down"],
  brows_up: ["Brows up", "as when you are surprised"],
  brows_down: ["Brows down", "as when you are angry"],
  eyes_wide: ["Eyes wide open", "as wide as they go"],
  eyes_closed: ["Eyes closed", "gently, until the next step (listen for the tone)"],
  mouth_open: ["Mouth wide open", "drop your jaw"],
  pucker: ["Kiss", "push your lips forward"],
  puff: ["Puff your cheeks", "with your mouth closed"],
  sneer: ["Sneer", "wrinkle your nose"],
  jaw_left: ["Jaw to your left", "as far as it goes"],
  jaw_right: ["Jaw to your right", "as far as it goes"],
};
const READY_MS = 1500;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** The part of the page about calibration; everything happens by commands. */
export class CalibrationPart {
  #running = false;
  #skip = () => {};
  /** A name was typed that no command has used yet: what the server says does not take its place. */
  #typed = false;

  constructor(connection, controls) {
    this.connection = connection;
    this.controls = controls;
    const result = element("calibration-result");
    const on = (id, output, work) => element(id).addEventListener("click", (event) => busy(event.target, output, work));
    on("neutral", result, () => this.#neutral());
    on("guide", result, () => this.#guide());
    const startOver = () => this.#command("calibrate_reset", {}, "started over");
    on("reset", result, twice("forget your face at rest and your range", startOver));
    const profile = element("profile-result");
    const named = (name, words) => () => this.#named(name, words);
    element("profile").addEventListener("input", () => (this.#typed = true));
    on("profile-save", profile, named("profile_save", "saved"));
    on("profile-load", profile, named("profile_load", "loaded"));
    on("profile-delete", profile, twice("delete", named("profile_delete", "deleted"), () => element("profile").value));
    element("guide-stop").addEventListener("click", () => element("guide-dialog").close());
    element("guide-skip").addEventListener("click", () => this.#skip());
    element("guide-dialog").addEventListener("close", () => (this.#running = false, this.#skip()));
  }

  /** Show what holds. */
  show(state) {
    show("calibrated", state.calibrated ? "Your face at rest is known." : "Not calibrated yet: look into the camera with a relaxed face, then press the button.");
    if (!this.#typed && document.activeElement !== element("profile")) element("profile").value = state.profile;
    element("profiles").replaceChildren(...state.profiles.map((name) => new Option(name)));
  }

  async #command(name, args, words) {
    await this.connection.command(name, args);
    await this.controls.refresh();
    return words;
  }

  async #named(command, words) {
    const name = element("profile").value;
    await this.connection.command(command, { name });
    if (element("profile").value === name) this.#typed = false;
    await this.controls.refresh();
    return words;
  }

  async #neutral() {
    show("calibration-result", "hold still …");
    await this.connection.ask("calibrate", {}, { waits: (why) => show("calibration-result", `waiting: ${why}`) });
    await this.controls.refresh();
    return "done: this is your face at rest";
  }

  async #guide() {
    if (!this.controls.state?.calibrated) await this.#neutral();
    const poses = this.controls.state.poses.filter((pose) => POSES[pose]);
    const missing = [];
    this.#running = true;
    element("guide-list").replaceChildren();
    element("guide-dialog").showModal();
    for (const [i, pose] of poses.entries()) {
      element("guide-progress").value = i / poses.length;
      missing.push(...(await this.#pose(pose)));
      if (!this.#running) return "stopped; the faces shown so far are kept";
    }
    element("guide-dialog").close();
    beep();
    return missing.length ? `done; not seen: ${[...new Set(missing)].join(", ")}` : "done: your range is known";
  }

  async #pose(pose) {
    const [title, hint] = POSES[pose];
    show("guide-pose", title);
    show("guide-hint", hint);
    beep();
    let skipped = false;
    const skip = new Promise((done) => (this.#skip = () => (skipped = true, done())));
    await Promise.race([wait(READY_MS), skip]);
    if (skipped) return note(title, "skipped", []);
    show("guide-hint", "hold it …");
    canSkip(false); // The server looks already.
    try {
      const waits = (why) => (show("guide-hint", `hold it … (${why})`), this.#running);
      const { unseen } = await this.connection.ask("calibrate", { pose }, { waits });
      return note(title, unseen.length ? `not seen: ${unseen.join(", ")}` : "seen", unseen);
    } catch (error) {
      return note(title, error.message, []);
    } finally {
      canSkip(true);
    }
  }
}

/** Show whether a pose can be skipped now; a button that is disabled for good would lose the keyboard's place. */
const canSkip = (can) => element("guide-skip").setAttribute("aria-disabled", !can);

function note(title, words, unseen) {
  element("guide-list").append(Object.assign(document.createElement("li"), { textContent: `${title}: ${words}` }));
  return unseen;
}

/** A short tone, for eyes that are closed; silent where the browser does not allow it. */
function beep() {
  try {
    const audio = (beep.audio ??= new AudioContext());
    const [tone, volume] = [audio.createOscillator(), audio.createGain()];
    volume.gain.setValueAtTime(0.05, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(1e-4, audio.currentTime + 0.2);
    tone.frequency.value = 660;
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.2);
  } catch {
    // No sound: the words are there.
  }
}
