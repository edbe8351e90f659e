// Package chart draws small charts as SVG, on the server: no script, no style
// of their own but the classes of the style sheet. Numbers stand beside them in
// a table for those who do not see.
package chart
