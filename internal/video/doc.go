// Package video runs the model over the frames of a sequence. What belongs to the sequence and not to a frame is done on the
// host, the same for every backend:
//
//  1. select.go holds the selection of tiles against flicker: a session of the graph's first part gives the utilities of a
//     frame, hysteresis chooses the tiles from them and from what was chosen before, and the whole graph replays that choice;
//  2. play.go runs frame after frame in one session, describes what was found and lets a tracker follow it;
//  3. summary.go sums up the tracks, the flicker of the tiles and the times.
package video
