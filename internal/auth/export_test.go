package auth

// CheapHashes lets a gate make hashes that take no time. The parameters of real
// ones are TestHashes' business.
func CheapHashes(g *Gate) { g.cost = cost{memory: 32, time: 1, threads: 1} }
