// Sends one template with CM.com's own SDK, as its README shows, and prints the HTTP status and the answer.
// Usage: node send.js <product token> <number> <reference>

const { MessageApiClient } = require("@cmdotcom/text-sdk");

const [token, number, reference] = process.argv.slice(2);

const template = {
  whatsapp: {
    elementName: "order_update",
    language: { code: "en", policy: "deterministic" },
    namespace: "11111111_2222_3333_4444_555555555555",
    components: [
      {
        type: "body",
        parameters: [
          { type: "text", text: "Jan" },
          { type: "text", text: "A-1001" },
        ],
      },
    ],
  },
};

const show = ({ status, data }) => console.log(JSON.stringify({ status, body: data }));

new MessageApiClient(token)
  .createMessage()
  .setMessage([number], "0031687654321", "Hello world?!", reference)
  .setAllowedChannels(["WhatsApp"])
  .setTemplate(template)
  .send()
  .then(show, (error) => {
    if (!error.response) throw error;
    show(error.response);
  });
