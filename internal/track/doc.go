// Package track follows objects through the frames of a sequence and gives each an id of its own.
//
// A Tracker takes the detections of one frame after another. In every frame
//
//  1. motion.go predicts where each track is now, by a Kalman filter of constant velocity;
//  2. bank.go remembers what it looked like: the mean of its last embeddings;
//  3. associate.go pairs tracks and detections, by overlap and appearance, greedily or at least total cost;
//  4. tracker.go carries the tracks on: what was paired is updated, what was not is lost or ends, what is new starts.
//
// A track is tentative until it was seen often enough in a row; then it is confirmed and gets an id. A confirmed track that
// is not seen is lost: it keeps its id, is predicted on, and ends when it was not seen for too long. Ids count up from 1 and
// are never given again, not even after every track has ended.
//
// The rules are those of the tracking specification (spec/train-eval.md 14), with what it lacks: classes that must agree, a
// confirmation phase, a motion model, score thresholds, frames that were left out, ids that stay unique. Everything is
// sequential float64 arithmetic in a fixed order, so that equal detections give equal tracks everywhere.
package track
