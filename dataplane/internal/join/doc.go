// Package join makes a node part of its fleet: by a join token, once, and later by its own key, when its certificate is to be renewed.
//
// All keys are made here and stay on the node's disk. The files are written in an order in which a process that is killed at any moment
// leaves either an identity or a node that can join again by the same token: the keys before anything is asked, so that the same token
// comes with the same keys again and gets the same answer; the certificate last, so that where it is, all is. Each file is
// replaced as a whole, mode 0600 but for the certificate, which is no secret, and is on the disk before the next step.
//
// What the control plane answers is not trusted for having answered: the certificate is verified by the node's own root before anything is
// kept. A false NATS address or CA can keep a node from its rules, and never give it others: those are signed.
package join
