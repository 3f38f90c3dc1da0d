import { buildCommand, proposeCompletions } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { perform } from "../perform.ts";

/** Each calls `sealwright completion propose -- WORDS` and offers what it prints. */
const GLUE: Readonly<Record<string, string>> = {
  bash: `_sealwright() {
  local IFS=$'\\n'
  COMPREPLY=($(sealwright completion propose -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sealwright sealwright`,
  zsh: `#compdef sealwright
_sealwright() {
  local -a found
  found=("\${(@f)$(sealwright completion propose -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found || _files
}
compdef _sealwright sealwright`,
  fish: `function __sealwright_complete
  set -l words (commandline -opc) (commandline -ct)
  sealwright completion propose -- $words[2..-1] 2>/dev/null
end
complete -c sealwright -a '(__sealwright_complete)'`,
};

export const completionCommand = buildCommand<object, [string, ...string[]], Context>({
  async func(_flags, shell, ...words) {
    await perform(this, false, async () => {
      if (shell === "propose") {
        const { app } = await import("../app.ts");
        const proposals = await proposeCompletions(app, words, this);
        return { text: proposals.map(({ completion }) => completion).join("\n"), json: proposals };
      }
      const glue = GLUE[shell];
      if (glue === undefined) {
        throw new UsageError("completion.shell.unknown", `shell ${JSON.stringify(shell)}: expected bash, zsh or fish`);
      }
      return { text: glue, json: { shell, script: glue } };
    });
  },
  parameters: {
    positional: {
      kind: "array",
      minimum: 1,
      parameter: { brief: "bash, zsh or fish", parse: String, placeholder: "SHELL" },
    },
  },
  docs: {
    brief: "Print the completion script of a shell",
    fullDescription: [
      "EXAMPLES",
      "  source <(sealwright completion bash)",
      "  sealwright completion zsh > ~/.zfunc/_sealwright",
      "  sealwright completion fish > ~/.config/fish/completions/sealwright.fish",
    ].join("\n"),
  },
});
