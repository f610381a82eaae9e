/**
 * Reads MP4 files, each given by its path, with mp4box.js and prints as JSON what it found in each: the tests compare
 * it with what other readers say (tests/media/vod/test_parsers.py).
 */
import { readFileSync } from "node:fs";
import { createFile } from "mp4box";

function read(path) {
  const file = createFile();
  const problems = [];
  file.onError = (_module, problem) => problems.push(problem);
  const bytes = readFileSync(path);
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  buffer.fileStart = 0;
  file.appendBuffer(buffer, true);
  file.flush();
  const info = file.getInfo();
  const tracks = info.tracks.map((track) => {
    const samples = file.getTrackSamplesInfo(track.id);
    return {
      codec: track.codec,
      width: track.video?.width ?? 0,
      height: track.video?.height ?? 0,
      shown: [track.track_width, track.track_height],
      timescale: track.timescale,
      duration_ticks: samples.reduce((sum, sample) => sum + sample.duration, 0),
      samples: samples.length,
      keyframes: samples.filter((sample) => sample.is_sync).length,
      size_bytes: samples.reduce((sum, sample) => sum + sample.size, 0),
    };
  });
  const declared_s = (info.fragment_duration?.num ?? info.fragment_duration ?? 0) / info.timescale;
  return { problems, fragments: file.moofs?.length ?? 0, declared_s, tracks };
}

process.stdout.write(JSON.stringify(process.argv.slice(2).map(read)));
