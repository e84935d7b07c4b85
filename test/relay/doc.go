// Package relay is a man in the middle for tests: control planes are connected to one NATS server, nodes to another, and what passes between the two
// passes by his hands.
//
//	control planes ──► NATS ◄── relay ──► NATS ◄── nodes
//
// Change sets, snapshots' objects, heartbeats, what the control plane says of keys, recalls and receipts go to the nodes; reports, requests for loans (with
// their answers) and segments go to the control planes. A test says by Treat what becomes of each kind; until then all of it passes. What is on
// Hold is kept, in order, until Release. Everything that came is recorded, and Sent gives it to who wants to replay it.
//
// The relay holds both sides' credentials and none of the fleet's keys: it can sign nothing.
package relay
