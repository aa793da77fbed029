/**
 * Eye: the camera, and what it reads. The browser's own BarcodeDetector where there is one, else the decoder beside this
 * file (qr/, by somebody else). What it saw last it tells again only after it has not seen it for a while.
 */

import { decodeQR } from "./qr/decode.js";

const EVERY_MS = 120, GONE_MS = 2500, SIDE = 640;

async function reader() {
  if ("BarcodeDetector" in globalThis) {
    const kinds = await BarcodeDetector.getSupportedFormats().catch(() => []);
    if (kinds.includes("qr_code")) {
      const detector = new BarcodeDetector({ formats: ["qr_code"] });
      return async (video) => (await detector.detect(video))[0]?.rawValue ?? "";
    }
  }
  const canvas = new OffscreenCanvas(SIDE, SIDE), pen = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    // The middle of the picture, as the frame on the screen shows it.
    const side = Math.min(video.videoWidth, video.videoHeight);
    pen.drawImage(video, (video.videoWidth - side) / 2, (video.videoHeight - side) / 2, side, side, 0, 0, SIDE, SIDE);
    try {
      return decodeQR(pen.getImageData(0, 0, SIDE, SIDE));
    } catch {
      return "";
    }
  };
}

export function openEye(video, saw) {
  let stream = null, timer = 0, read = null, last = "", lastAt = 0, cameras = [], at = 0;

  async function look() {
    if (stream === null) return;
    try {
      if (video.readyState >= video.HAVE_CURRENT_DATA && !document.hidden) {
        const text = await read(video), now = performance.now();
        // What nobody had time for is told again.
        if (text && ((text === last && now - lastAt <= GONE_MS) || saw(text))) {
          last = text;
          lastAt = now;
        }
      }
    } finally {
      timer = setTimeout(look, EVERY_MS);
    }
  }

  const track = () => stream?.getVideoTracks()[0];

  function stop() {
    clearTimeout(timer);
    for (const one of stream?.getTracks() ?? []) one.stop();
    stream = null;
  }

  async function start() {
    stop();
    read ??= await reader();
    const wanted = cameras.length > 1 ? { deviceId: { exact: cameras[at] } } : { facingMode: { ideal: "environment" } };
    stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...wanted, width: { ideal: 1280 }, height: { ideal: 720 } } });
    video.srcObject = stream;
    await video.play();
    const found = (await navigator.mediaDevices.enumerateDevices()).filter((one) => one.kind === "videoinput" && one.deviceId);
    cameras = found.map((one) => one.deviceId);
    at = Math.max(0, cameras.indexOf(track().getSettings().deviceId));
    look();
  }

  return {
    start, stop,
    get hasTorch() { return Boolean(track()?.getCapabilities?.().torch); },
    get hasOthers() { return cameras.length > 1; },
    torch: (on) => track().applyConstraints({ advanced: [{ torch: on }] }),
    turn() {
      at = (at + 1) % cameras.length;
      return start();
    },
  };
}
