import { type FormEvent, useState } from "react";
import { type DemoMessage, type DemoUser, ServerRefusal, sendMessage, type UserKey } from "./server.ts";

type Result =
  | { readonly kind: "none" }
  | { readonly kind: "sending" }
  | { readonly kind: "sent"; readonly text: string }
  | { readonly kind: "refused"; readonly text: string; readonly field: string | undefined };

/** The form that sends. What was written stays, so that one click sends it again. */
export function SendCard({ users }: { readonly users: readonly DemoUser[] }) {
  const [to, setTo] = useState<UserKey | "both">("both");
  const [result, setResult] = useState<Result>({ kind: "none" });

  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const recipients = users.filter((user) => to === "both" || user.key === to);
    setResult({ kind: "sending" });
    try {
      await sendMessage(
        messageOf(
          new FormData(event.currentTarget),
          recipients.map((user) => user.key),
        ),
      );
      const time = new Date().toLocaleTimeString();
      setResult({ kind: "sent", text: `Accepted for ${recipients.map((u) => u.name).join(" and ")} at ${time}.` });
    } catch (error) {
      const text = error instanceof ServerRefusal ? error.message : "The server did not answer. Is it still running?";
      setResult({ kind: "refused", text, field: error instanceof ServerRefusal ? error.field : undefined });
    }
  };

  const field = (name: string) => ({
    id: name,
    name,
    "aria-invalid": result.kind === "refused" && result.field?.startsWith(name.split("-")[0] ?? name) === true,
  });

  return (
    <form className="card send-card" onSubmit={(event) => void submit(event)}>
      <h2>Send a message</h2>

      <fieldset>
        <legend>To</legend>
        <div className="choices">
          {[
            ...users.map((user) => ({ value: user.key, label: user.name })),
            { value: "both", label: "Both" } as const,
          ].map(({ value, label }) => (
            <label key={value}>
              <input type="radio" name="to" value={value} checked={to === value} onChange={() => setTo(value)} />
              <span>{label}</span>
            </label>
          ))}
        </div>
      </fieldset>

      <label htmlFor="title">Title</label>
      <input {...field("title")} required maxLength={200} defaultValue="The bells are ringing" autoComplete="off" />

      <label htmlFor="body">Body</label>
      <textarea {...field("body")} required maxLength={4000} rows={3} defaultValue="One keyboard, many bells." />

      <label htmlFor="tags">
        Tags <small>separated by commas</small>
      </label>
      <input {...field("tags")} placeholder="billing, urgent" autoComplete="off" />

      <div className="pair">
        <div>
          <label htmlFor="action-label">
            Button <small>optional</small>
          </label>
          <input {...field("action-label")} maxLength={60} placeholder="Open" autoComplete="off" />
        </div>
        <div>
          <label htmlFor="action-href">Link</label>
          <input {...field("action-href")} type="url" maxLength={2000} placeholder="https://…" autoComplete="off" />
        </div>
      </div>

      <button type="submit" className="primary" disabled={result.kind === "sending"}>
        {result.kind === "sending" ? "Sending…" : "Send"}
      </button>
      <output className="result" data-kind={result.kind}>
        {result.kind === "sent" || result.kind === "refused" ? result.text : ""}
      </output>
    </form>
  );
}

function messageOf(form: FormData, to: readonly UserKey[]): DemoMessage {
  const text = (name: string): string => String(form.get(name) ?? "").trim();
  const [label, href] = [text("action-label"), text("action-href")];
  return {
    to,
    title: text("title"),
    body: text("body"),
    tags: text("tags")
      .split(",")
      .map((tag) => tag.trim())
      .filter((tag) => tag !== ""),
    // With only one of the two filled in, the server says what is missing.
    action: label === "" && href === "" ? null : { label, href },
  };
}
