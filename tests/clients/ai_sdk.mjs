// A conversation through Vercel's AI SDK: several turns, with a tool. It prints what a user would see, as JSON.
// Usage: node ai_sdk.mjs PACKAGES PROVIDER BASE_URL whole|stream QUESTION...
import { createRequire } from "node:module";

const [, , packages, provider, baseURL, mode, ...questions] = process.argv;
const load = createRequire(`${packages}/`);
const { generateText, jsonSchema, stepCountIs, streamText, tool } = load("ai");
const settings = { baseURL, apiKey: "local" };
const models = {
  anthropic: () => load("@ai-sdk/anthropic").createAnthropic(settings)("claude-sonnet-5-5"),
  "openai-responses": () => load("@ai-sdk/openai").createOpenAI(settings)("gpt-5.5"),
  "openai-chat": () => load("@ai-sdk/openai").createOpenAI(settings).chat("gpt-5.5"),
  "openai-compatible": () =>
    load("@ai-sdk/openai-compatible").createOpenAICompatible({ ...settings, name: "codexd", includeUsage: true })("gpt-5.5"),
};
const place = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const asked = [];
const options = {
  model: models[provider](),
  maxRetries: 0,
  stopWhen: stepCountIs(5),
  providerOptions: { anthropic: { thinking: { type: "adaptive", display: "summarized" } } },
  tools: {
    get_weather: tool({
      description: "The weather of a city",
      inputSchema: jsonSchema(place),
      execute: async ({ city }) => {
        asked.push(city);
        return `sunny in ${city}`;
      },
    }),
  },
};

async function ask(messages) {
  if (mode === "whole") {
    return generateText({ ...options, messages });
  }
  let failure;
  const answer = streamText({ ...options, messages, onError: ({ error }) => (failure = error) });
  await answer.consumeStream();
  if (failure) throw failure;
  return {
    text: await answer.text,
    response: await answer.response,
    finishReason: await answer.finishReason,
    totalUsage: await answer.totalUsage,
  };
}

const messages = [];
const turns = [];
for (const question of questions) {
  messages.push({ role: "user", content: question });
  const { text, response, finishReason, totalUsage } = await ask(messages);
  messages.push(...response.messages);
  turns.push({ text, finishReason, inputTokens: totalUsage.inputTokens });
}
console.log(JSON.stringify({ turns, asked }));
