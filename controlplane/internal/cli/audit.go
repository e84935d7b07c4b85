package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"tollgate/controlplane/internal/audit"
	adminv1 "tollgate/gen/go/tollgate/admin/v1"
)

func auditCommand() *cobra.Command {
	return group("audit", "Who changed what", "  tollgate audit list --filter 'kind = \"license\"'\n  tollgate audit verify",
		listing(verb{
			use: "list", short: "List writes, newest first",
			example: "  tollgate audit list --filter 'actor = \"tok_01K0…\"'\n  tollgate audit list -o json",
			filters: "actor, kind, id",
			view: view{field: "audit_events", columns: []column{
				{"NUMBER", "sequence"}, {"TIME", "time"}, {"ACTOR", "actor"}, {"NAME", "actor_name"}, {"PROCEDURE", "procedure"},
				{"KIND", "kind"}, {"ID", "id"}, {"BEFORE", "before"}, {"AFTER", "after"},
			}},
		}, (*client).audit, auditClient.ListAuditEvents),
		verb{
			use: "verify", short: "Recompute the chain of writes here, and say what is wrong with it",
			example: "  tollgate audit verify          # exits with 5 where something is\n  tollgate audit verify -o json",
		}.command(verifyAudit),
	)
}

// FindingsError is the error of a check that found something. The program exits with 5.
type FindingsError struct{ Count int }

// Error counts.
func (f *FindingsError) Error() string {
	return fmt.Sprintf("%d findings: the audit was tampered with", f.Count)
}

// ExitCode is the program's.
func (*FindingsError) ExitCode() int { return 5 }

func verifyAudit(cmd *cobra.Command, _ []string) error {
	c, err := dial(cmd)
	if err != nil {
		return err
	}
	var v *audit.Verifier
	var head []byte
	req := &adminv1.ListAuditEventsRequest{PageSize: 500}
	for {
		res, err := c.audit().ListAuditEvents(cmd.Context(), req)
		if err != nil {
			return err
		}
		if v == nil {
			head = res.GetHeadHash()
			v = audit.Verify(audit.Head{Sequence: res.GetHeadSequence(), Hash: head})
		}
		for _, e := range res.GetAuditEvents() {
			v.Event(fromAuditEvent(e))
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	return reportAudit(cmd, v.End(), head)
}

func reportAudit(cmd *cobra.Command, r audit.Result, head []byte) error {
	first, bad := r.First()
	answer := &adminv1.VerifyAuditResponse{
		Events: r.Events, FirstBad: first.Sequence, Problem: first.Problem, HeadHash: head,
	}
	err := show(cmd, answer, view{columns: []column{
		{"EVENTS", "events"}, {"FIRST BAD", "first_bad"}, {"PROBLEM", "problem"}, {"HEAD", "head_hash"},
	}})
	if err != nil || !bad {
		return err
	}
	for _, f := range r.Findings {
		fmt.Fprintln(cmd.ErrOrStderr(), f.Problem)
	}
	return &FindingsError{len(r.Findings)}
}

func fromAuditEvent(e *adminv1.AuditEvent) *audit.Event {
	return &audit.Event{
		Sequence: e.GetSequence(), Time: e.GetTime().AsTime(), Actor: e.GetActor(), ActorName: e.GetActorName(), Role: e.GetRole(),
		Procedure: e.GetProcedure(), Kind: e.GetKind(), ID: e.GetId(), Before: e.GetBefore(), After: e.GetAfter(),
		RequestID: e.GetRequestId(), Generation: e.GetEpoch().GetGeneration(), Number: e.GetEpoch().GetNumber(),
		Previous: e.GetPreviousHash(), Hash: e.GetHash(),
	}
}
