using DingFlow.Hosting;

return await DingFlowProgram.RunAsync(args);
