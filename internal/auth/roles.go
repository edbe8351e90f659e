package auth

import "slices"

// reads are the permissions that change nothing. A session may use no other:
// a browser cookie that leaks can look, never act.
var reads = []Permission{HooksRead, JobsRead, PeersRead, AuditRead, MetricsRead}

// everybody is what each role holds: its own tokens and sign-in links,
// reading hooks, jobs and peers, and carrying a revocation that a revoker has
// signed.
var everybody = []Permission{HooksRead, JobsRead, PeersRead, TokensCreate, LoginCreate, TrustRevoke}

// Holds reports whether the role may use the permission. This is the whole
// table:
//
//	            read*  tokens† revoke‡ submit review activate disable publish metrics audit users
//	admin       yes    yes     yes     yes    yes    yes      yes     yes     yes     yes   yes
//	author      yes    yes     yes     yes
//	reviewer    yes    yes     yes            yes
//	operator    yes    yes     yes                   yes      yes     yes     yes     yes
//	viewer      yes    yes     yes                                            yes
//
// * hooks, jobs with results and problems, peers.
// † tokens.create and logins.create, both for oneself only; users.manage is
// what makes users and tokens for others.
// ‡ trust.revoke carries metadata to the server; the signature of a revoker
// decides. Nobody holds hooks.revoke.
func (r Role) Holds(p Permission) bool {
	if r == RoleAdmin {
		return slices.Contains(allPermissions(), p)
	}
	return r.Valid() && (slices.Contains(everybody, p) || slices.Contains(r.extra(), p))
}

// extra is what a role other than admin holds beyond everybody's.
func (r Role) extra() []Permission {
	switch r {
	case RoleAuthor:
		return []Permission{HooksSubmit}
	case RoleReviewer:
		return []Permission{HooksReview}
	case RoleOperator:
		return []Permission{HooksActivate, HooksDisable, TrustPublish, MetricsRead, AuditRead}
	case RoleViewer:
		return []Permission{MetricsRead}
	default:
		return nil
	}
}

// Valid reports whether r is one of the five roles.
func (r Role) Valid() bool { return slices.Contains(Roles(), r) }

// Roles lists every role.
func Roles() []Role {
	return []Role{RoleAdmin, RoleAuthor, RoleReviewer, RoleOperator, RoleViewer}
}

// holders are the names of the roles that may use the permission.
func holders(perm Permission) []string {
	var names []string
	for _, r := range Roles() {
		if r.Holds(perm) {
			names = append(names, string(r))
		}
	}
	return names
}

// allPermissions lists every permission, so that admin holds what exists and
// nothing that does not.
func allPermissions() []Permission {
	return []Permission{
		HooksRead, HooksSubmit, HooksReview, HooksActivate, HooksDisable,
		JobsRead, PeersRead, TokensCreate, LoginCreate, UsersManage, AuditRead, MetricsRead,
		TrustPublish, TrustRevoke,
	}
}

// may says whether the principal's roles, and the kind of its token, allow
// the permission.
func (p Principal) may(perm Permission) bool {
	if p.Kind == TokenSession && !slices.Contains(reads, perm) {
		return false
	}
	if p.Kind != TokenSession && p.Kind != TokenAPI {
		return false
	}
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return r.Holds(perm) })
}
