// Package cli holds the commands that call the admin API.
//
// A command prints data on stdout, in the form that -o asks for, and everything else on stderr. It returns its error as
// one line for people; the root command prints it and exits with its Status: 1, or what a finding has.
package cli

import "github.com/spf13/cobra"

// Commands are the verbs, ready to be added to a root command.
func Commands() []*cobra.Command {
	all := []*cobra.Command{
		applyCommand(),
		diffCommand(),
		exportCommand(),
		validateCommand(),
		customersCommand(),
		featuresCommand(),
		metersCommand(),
		plansCommand(),
		addOnsCommand(),
		licensesCommand(),
		keysCommand(),
		servicesCommand(),
		routesCommand(),
		termsCommand(),
		issuersCommand(),
		usageCommand(),
		decisionsCommand(),
		explainCommand(),
		fleetCommand(),
		recoverCommand(),
		tokensCommand(),
		auditCommand(),
	}
	for _, c := range all {
		if c.Name() == "licenses" {
			c.AddCommand(attachVerbs()...)
		}
		addConnectionFlags(c.PersistentFlags())
		addOutputFlag(c)
	}
	// Most of it works on files, with no server.
	trust := trustCommand()
	addConnectionFlags(trust.PersistentFlags())
	return append(all, trust)
}
