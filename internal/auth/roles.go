package auth

import "slices"

// commandOnly are the permissions that no browser session has: they go with a
// key, or belong to programs. A session may whatever else its user's roles
// allow.
func commandOnly() []Permission { return []Permission{HooksSubmit, TrustPublish, TrustRevoke} }

func sessionMay(p Permission) bool { return !slices.Contains(commandOnly(), p) }

// everybody is what each role holds: its own account with tokens and sign-in
// links, reading hooks, jobs and peers, and carrying a revocation that a
// revoker has signed.
func everybody() []Permission {
	return []Permission{HooksRead, JobsRead, PeersRead, TokensCreate, LoginCreate, AccountOwn, TrustRevoke}
}

// Holds reports whether the role may use the permission. This is the whole
// table:
//
//	            read*  own† revoke‡ submit review comment activate disable label publish metrics audit users
//	admin       yes    yes  yes     yes    yes    yes     yes      yes     yes   yes     yes     yes   yes
//	author      yes    yes  yes     yes           yes
//	reviewer    yes    yes  yes            yes    yes
//	operator    yes    yes  yes                   yes     yes      yes     yes   yes     yes     yes
//	viewer      yes    yes  yes                                                          yes
//	in a browser: all but submit, publish and revoke
//
// * hooks, jobs with results and problems, peers.
// † tokens.create, logins.create and account.own, for oneself only;
// users.manage is what makes and changes users and tokens of others.
// ‡ trust.revoke carries metadata to the server; the signature of a revoker
// decides. Nobody holds hooks.revoke.
//
// To pause an activation is hooks.disable, to change its bounds hooks.activate.
func (r Role) Holds(p Permission) bool {
	if r == RoleAdmin {
		return slices.Contains(allPermissions(), p)
	}
	return r.Valid() && (slices.Contains(everybody(), p) || slices.Contains(r.extra(), p))
}

// extra is what a role other than admin holds beyond everybody's.
func (r Role) extra() []Permission {
	switch r {
	case RoleAuthor:
		return []Permission{HooksSubmit, HooksComment}
	case RoleReviewer:
		return []Permission{HooksReview, HooksComment}
	case RoleOperator:
		return []Permission{HooksActivate, HooksDisable, HooksComment, PeersLabel, TrustPublish, MetricsRead, AuditRead}
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
		TrustPublish, TrustRevoke, HooksComment, PeersLabel, AccountOwn,
	}
}

// may says whether the principal's roles, and the kind of its token, allow
// the permission.
func (p Principal) may(perm Permission) bool {
	if p.Kind == TokenSession && !sessionMay(perm) {
		return false
	}
	if p.Kind != TokenSession && p.Kind != TokenAPI {
		return false
	}
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return r.Holds(perm) })
}
