/** The camera: a dialog with what it sees, and a shutter. */

import { element } from "./elements";
import { type Chosen, kept } from "./pictures";
import { Problem } from "./problem";

const dialog = element("camera", HTMLDialogElement);
const video = element("camera-view", HTMLVideoElement);
const shutter = element("shutter", HTMLButtonElement);
const turn = element("camera-turn", HTMLButtonElement);
const cancel = element("camera-cancel", HTMLButtonElement);

/** A picture by the camera, or undefined where the person cancels. Throws a `Problem` where there is no camera. */
export async function takePicture(name: string): Promise<Chosen | undefined> {
  let facing = "environment";
  let stream = await opened(facing);
  const pressed = (): Promise<HTMLButtonElement | undefined> =>
    new Promise((resolve) => {
      for (const button of [shutter, turn, cancel]) button.onclick = () => resolve(button);
      dialog.oncancel = () => resolve(undefined);
    });
  dialog.showModal();
  try {
    for (;;) {
      video.srcObject = stream;
      shutter.disabled = true;
      video.play().then(
        () => (shutter.disabled = false),
        () => undefined, // closed before it began
      );
      const button = await pressed();
      if (button === turn) {
        stop(stream);
        facing = facing === "environment" ? "user" : "environment";
        stream = await opened(facing);
        continue;
      }
      if (button !== shutter) return undefined;
      return { name, canvas: kept(video, { width: video.videoWidth, height: video.videoHeight }, name) };
    }
  } finally {
    stop(stream);
    video.srcObject = null;
    dialog.close();
  }
}

async function opened(facing: string): Promise<MediaStream> {
  if (!("mediaDevices" in navigator)) {
    throw new Problem("The camera works on pages with https alone: choose a file instead.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: facing, width: { ideal: 1280 } } });
  } catch (failure) {
    const refused = failure instanceof DOMException && failure.name === "NotAllowedError";
    throw new Problem(
      refused
        ? "The camera is not allowed: allow it in the browser's settings of this page, or choose a file."
        : "No camera could be opened: choose a file instead.",
    );
  }
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}
