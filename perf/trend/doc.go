// Package trend keeps the history of measurements and finds the commits that changed it.
//
//  1. Read takes a file that another command wrote (a sweep's result, a gate's record or the original's trend artifact) and
//     gives a Run: where, when and of which commit, with one Point per metric.
//  2. Package store keeps runs, in an SQLite file or a PostgreSQL database.
//  3. Analyze arranges the runs of every class of machines into one Series per metric, in the order of commits and of the time received;
//     ChangePoints divides a series where its distribution changed, by e-divisive means.
//  4. Ratchet compares the newest value of every metric with the last release before it.
//  5. Export writes the comparison of a run as the original's trend artifact.
//
// Numbers of different machine classes are never compared with each other.
package trend
