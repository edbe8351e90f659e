package errs

// HTTPStatus is the status with which the REST API and the pages answer.
func (k Kind) HTTPStatus() int {
	switch k {
	case Invalid:
		return 422
	case Unauthenticated:
		return 401
	case Forbidden:
		return 403
	case NotFound:
		return 404
	case Conflict:
		return 409
	case TooLarge:
		return 413
	case TooMany:
		return 429
	case Unavailable:
		return 503
	default:
		return 500
	}
}
