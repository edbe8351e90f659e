package lint

// What the linter knows of the sandbox, for the test that holds it against the
// worker.
var (
	Members       = members
	PlainGlobals  = plainGlobals
	RemovedGlobal = removedGlobal
	LikeLetter    = likeLetter
	LikeSymbol    = likeSymbol
)
