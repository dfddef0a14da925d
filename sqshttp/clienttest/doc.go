// Package clienttest holds package sqshttp against clients that others have written:
// unmodified, and with all their own checks on.
package clienttest
